package wire

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/lightningnetwork/lnd/tlv"
)

// tail is the extension of a message: the records it may have, by increasing type. It is a message's last field.
// Records of unknown odd types are dropped.
type tail []option

// option is a TLV record that may be absent.
type option struct {
	kind tlv.Type
	// value returns the encoded value, false if absent.
	value func() ([]byte, bool, error)
	// set stores the value of a record that is there.
	set func(value []byte) error
}

func (t tail) put(w *bytes.Buffer) error {
	for _, o := range t {
		value, present, err := o.value()
		if err != nil {
			return fmt.Errorf("TLV type %d: %w", o.kind, err)
		}
		if !present {
			continue
		}
		if err := appendTLV(w, record{kind: o.kind, value: value}); err != nil {
			return err
		}
	}
	return nil
}

func (t tail) take(body []byte) ([]byte, error) {
	known := make([]tlv.Type, len(t))
	for i, o := range t {
		known[i] = o.kind
	}
	return nil, walkTLVs(body, known, func(rec record) error {
		if i := slices.Index(known, rec.kind); i >= 0 {
			return t[i].set(rec.value)
		}
		return nil
	})
}

// optional is a record whose value is made of fields, exactly; at is nil where it is absent.
func optional[T any](kind tlv.Type, at **T, fields func(*T) []field) option {
	return option{
		kind: kind,
		value: func() ([]byte, bool, error) {
			if *at == nil {
				return nil, false, nil
			}
			var w bytes.Buffer
			err := encode(&w, fields(*at)...)
			return w.Bytes(), true, err
		},
		set: func(value []byte) error {
			v := new(T)
			rest := value
			for _, f := range fields(v) {
				var err error
				if rest, err = f.take(rest); err != nil {
					return err
				}
			}
			if len(rest) > 0 {
				return fmt.Errorf("%d bytes too many", len(rest))
			}
			*at = v
			return nil
		},
	}
}

// flag is a record without a value: being there is what it says.
func flag(kind tlv.Type, at *bool) option {
	return option{
		kind:  kind,
		value: func() ([]byte, bool, error) { return nil, *at, nil },
		set: func(value []byte) error {
			if len(value) > 0 {
				return fmt.Errorf("%d bytes too many", len(value))
			}
			*at = true
			return nil
		},
	}
}
