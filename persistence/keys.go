package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The keyspaces of the database. An address is followed by a zero byte, which no address contains, and big-endian numbers:
// so no actor's keys lie among another's, and numbers sort as numbers.
//
//	h/<address>                    head record
//	s/<address>                    snapshot
//	e/<address> 00 <event:8>       event
//	i/<address> 00 <lsn:8> <n:4>   inbox entry
//	c/<column key>                 column
//	l/<address>                    member of the live set
//	p/<key> <piece:4>              one piece of the value of another key (see pieces.go)
//	m/...                          what the journal knows of itself
const (
	headSpace     = "h/"
	snapshotSpace = "s/"
	eventSpace    = "e/"
	inboxSpace    = "i/"
	columnSpace   = "c/"
	liveSpace     = "l/"
	pieceSpace    = "p/"
	metaSpace     = "m/"
)

const (
	metaKey         = metaSpace + "meta"
	markKey         = metaSpace + "mark"
	spanSpace       = metaSpace + "span/"   // <span:8> <parity:1>
	pieceIndexSpace = metaSpace + "pieces/" // <key>
)

// inboxIDSize is the length of an InboxID at the end of a key.
const inboxIDSize = 8 + 4

func appendActorPrefix(b []byte, space string, a Address) []byte {
	b = append(b, space...)
	b = append(b, a...)
	return append(b, 0)
}

func appendEventKey(b []byte, a Address, number uint64) []byte {
	return binary.BigEndian.AppendUint64(appendActorPrefix(b, eventSpace, a), number)
}

func appendInboxKey(b []byte, a Address, id InboxID) []byte {
	b = binary.BigEndian.AppendUint64(appendActorPrefix(b, inboxSpace, a), uint64(id.LSN))
	return binary.BigEndian.AppendUint32(b, id.N)
}

func appendPieceKey(b, key []byte, piece uint32) []byte {
	b = append(b, pieceSpace...)
	b = append(b, key...)
	return binary.BigEndian.AppendUint32(b, piece)
}

func appendSpanKey(b []byte, span uint64, parity byte) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, spanSpace...), span), parity)
}

var errKeyLength = errors.New("key has the wrong length")

// parseEventNumber is the inverse of appendEventKey, given the prefix of the actor's events.
func parseEventNumber(key, prefix []byte) (uint64, error) {
	number := bytes.TrimPrefix(key, prefix)
	if len(number) != 8 {
		return 0, errKeyLength
	}
	return binary.BigEndian.Uint64(number), nil
}

// parseInboxID is the inverse of appendInboxKey, given the prefix of the actor's inbox.
func parseInboxID(key, prefix []byte) (InboxID, error) {
	id := bytes.TrimPrefix(key, prefix)
	if len(id) != inboxIDSize {
		return InboxID{}, errKeyLength
	}
	return InboxID{LSN: LSN(binary.BigEndian.Uint64(id)), N: binary.BigEndian.Uint32(id[8:])}, nil
}

func parseSpanKey(key []byte) (span uint64, parity byte, err error) {
	tail := bytes.TrimPrefix(key, []byte(spanSpace))
	if len(tail) != 9 || tail[8] > 1 {
		return 0, 0, errKeyLength
	}
	return binary.BigEndian.Uint64(tail), tail[8], nil
}
