package persistence

import (
	"fmt"

	badger "github.com/dgraph-io/badger/v4"
	"google.golang.org/protobuf/proto"

	"stormcell/messages/record"
)

// encodeOwn encodes one of the journal's own records, which declare their kind and cannot fail to encode.
func encodeOwn(m proto.Message) record.Record {
	rec, err := record.Encode(m)
	if err != nil {
		panic(err)
	}
	return rec
}

// decodeOwn decodes the value under key, which must be a record of type M.
func decodeOwn[M proto.Message](key, value []byte) (M, error) {
	var none M
	e, err := openEnvelope(key, value, false)
	if err != nil {
		return none, fmt.Errorf("%w: key %q: %w", ErrCorrupt, key, err)
	}
	decoded, err := record.Decode(e.rec)
	if err != nil {
		return none, fmt.Errorf("key %q: %w", key, err)
	}
	own, ok := decoded.(M)
	if !ok {
		return none, fmt.Errorf("%w: key %q: holds a %s", ErrCorrupt, key, decoded.ProtoReflect().Descriptor().FullName())
	}
	return own, nil
}

// getOwn reads a record of type M; ok is false when there is none.
func getOwn[M proto.Message](txn *badger.Txn, key []byte) (own M, ok bool, err error) {
	value, err := get(txn, key)
	if err != nil || value == nil {
		return own, false, err
	}
	own, err = decodeOwn[M](key, value)
	return own, err == nil, err
}
