package persistence

import (
	"fmt"
	"hash/crc32"

	badger "github.com/dgraph-io/badger/v4"

	"stormcell/messages/journal"
)

// A value of more than maxValue bytes is stored in pieces, each under a key of its own, so that none is large enough for
// Badger's value log. An index beside them says which keys have pieces; the journal holds it in memory, where it is nearly
// always empty. So it knows by itself which pieces a new value or a deletion leaves behind, whoever submits it.

// maxValue is the most bytes of a body that are stored in one piece.
const maxValue = 512 << 10

// largeValue is a value in pieces.
type largeValue struct {
	key   []byte
	count uint32
}

// piecesFor is the number of pieces for a body of so many bytes, 0 when it is stored whole.
func piecesFor(length int) uint32 {
	if length <= maxValue {
		return 0
	}
	return uint32((length + maxValue - 1) / maxValue)
}

// putPieces writes the body of the value under key, and the entry in the index.
func (e *encoded) putPieces(key, body []byte, count uint32, lsnAt int) {
	shifted := func(by int) int {
		if lsnAt == noLSN {
			return noLSN
		}
		return lsnAt + by
	}
	for i := range count {
		piece := e.key(appendPieceKey(e.buf, key, i))
		start := len(e.buf)
		e.buf = append(e.buf, body[i*maxValue:min(int(i+1)*maxValue, len(body))]...)
		e.seal(piece, start, shifted(len(pieceSpace)))
	}
	index := e.key(append(append(e.buf, pieceIndexSpace...), key...))
	e.put(index, encodeOwn(&journal.Pieces{Count: count}), shifted(len(pieceIndexSpace)))
	e.large = append(e.large, largeValue{key: key, count: count})
}

// settlePieces adds to e the removal of pieces that its writes leave behind, and returns how the index changes. It runs in
// log order, after e has its number.
func settlePieces(index map[string]uint32, e *encoded) map[string]uint32 {
	if len(index) == 0 && len(e.large) == 0 {
		return nil
	}
	change := map[string]uint32{}
	for _, l := range e.large {
		change[string(l.key)] = l.count
	}
	for _, w := range e.writes {
		key := string(w.entry.Key)
		before, now := index[key], change[key]
		for i := now; i < before; i++ {
			e.remove(e.key(appendPieceKey(e.buf, w.entry.Key, i)))
		}
		if before > 0 && now == 0 {
			e.remove([]byte(pieceIndexSpace + key))
			change[key] = 0
		}
	}
	return change
}

// applyPieces folds a change of settlePieces into the index.
func applyPieces(index, change map[string]uint32) {
	for key, count := range change {
		if count == 0 {
			delete(index, key)
		} else {
			index[key] = count
		}
	}
}

// loadPieceIndex reads which keys have pieces.
func loadPieceIndex(txn *badger.Txn) (map[string]uint32, error) {
	index := map[string]uint32{}
	err := scan(txn, []byte(pieceIndexSpace), nil, func(key, value []byte) error {
		pieces, err := decodeOwn[*journal.Pieces](key, value)
		if err != nil {
			return err
		}
		index[string(key[len(pieceIndexSpace):])] = pieces.Count
		return nil
	})
	return index, err
}

// joinPieces reads the body of a value in pieces.
func joinPieces(txn *badger.Txn, key []byte, e envelope) ([]byte, error) {
	if e.pieces != piecesFor(int(e.length)) {
		return nil, fmt.Errorf("%w: %d pieces for %d bytes", ErrCorrupt, e.pieces, e.length)
	}
	var body []byte
	for i := range e.pieces {
		pieceKey := appendPieceKey(nil, key, i)
		value, err := get(txn, pieceKey)
		if err != nil {
			return nil, err
		}
		if value == nil {
			return nil, fmt.Errorf("%w: piece %d of %d is missing", ErrCorrupt, i+1, e.pieces)
		}
		piece, err := checkedPayload(pieceKey, value)
		if err != nil {
			return nil, fmt.Errorf("%w: piece %d of %d: %w", ErrCorrupt, i+1, e.pieces, err)
		}
		body = append(body, piece...)
	}
	if uint64(len(body)) != e.length || crc32.Checksum(body, castagnoli) != e.sum {
		return nil, fmt.Errorf("%w: the pieces do not make up the value", ErrCorrupt)
	}
	return body, nil
}
