package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"stormcell/messages/record"
)

// Every value in the database is an envelope:
//
//	uvarint kind | uvarint version | [inbox: uvarint length, sender] | uvarint pieces | body | CRC-32C, 4 bytes big-endian
//
// The checksum covers everything before it and then the key, so that a value under a wrong key does not pass. When pieces
// is not zero, the body is stored under that many keys of its own, and its place is taken by its length (uvarint) and its
// CRC-32C.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const checksumSize = 4

// maxEnvelope bounds what an envelope adds to sender and body.
const maxEnvelope = 5*binary.MaxVarintLen32 + 2*checksumSize

func appendEnvelopeHeader(b []byte, kind, version uint32) []byte {
	b = binary.AppendUvarint(b, uint64(kind))
	return binary.AppendUvarint(b, uint64(version))
}

// sealEnvelope fills in the checksum at the end of value, given the checksum of the bytes before it.
func sealEnvelope(key, value []byte, sum uint32) {
	binary.BigEndian.PutUint32(value[len(value)-checksumSize:], crc32.Update(sum, castagnoli, key))
}

// envelope is a decoded value. Its slices alias the value.
type envelope struct {
	rec    record.Record
	from   Address
	pieces uint32
	// length and sum are those of the whole body when it is in pieces.
	length uint64
	sum    uint32
}

var (
	errChecksum = errors.New("checksum does not match")
	errEnvelope = errors.New("envelope does not parse")
)

// openEnvelope checks and decodes the value stored under key.
func openEnvelope(key, value []byte, inbox bool) (envelope, error) {
	payload, err := checkedPayload(key, value)
	if err != nil {
		return envelope{}, err
	}
	r := varints{rest: payload}
	var e envelope
	e.rec.Kind, e.rec.Version = r.uint32(), r.uint32()
	if inbox {
		e.from = Address(r.bytes(r.uint32()))
	}
	if e.pieces = r.uint32(); e.pieces > 0 {
		e.length = uint64(r.uint32())
		if len(r.rest) != checksumSize {
			return envelope{}, errEnvelope
		}
		e.sum = binary.BigEndian.Uint32(r.rest)
	} else {
		e.rec.Body = r.rest
	}
	if r.broken {
		return envelope{}, errEnvelope
	}
	return e, nil
}

// checkedPayload is the value without its checksum, if that matches.
func checkedPayload(key, value []byte) ([]byte, error) {
	if len(value) < checksumSize {
		return nil, fmt.Errorf("%w: %d bytes", errEnvelope, len(value))
	}
	payload, sum := value[:len(value)-checksumSize], binary.BigEndian.Uint32(value[len(value)-checksumSize:])
	if crc32.Update(crc32.Checksum(payload, castagnoli), castagnoli, key) != sum {
		return nil, errChecksum
	}
	return payload, nil
}

// varints reads the fields of an envelope. After the first that does not parse, broken is set and all are empty.
type varints struct {
	rest   []byte
	broken bool
}

func (r *varints) uint32() uint32 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > 1<<32-1 || r.broken {
		r.broken = true
		return 0
	}
	r.rest = r.rest[n:]
	return uint32(v)
}

func (r *varints) bytes(n uint32) []byte {
	if r.broken || uint64(n) > uint64(len(r.rest)) {
		r.broken = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
