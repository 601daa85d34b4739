// Package record turns messages into what the journal stores, and back. Every stored message declares its kind number and
// version in its .proto file, with the option stormcell.record.stored.
package record

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Errors of Encode and Decode. They arrive wrapped with the message or kind they are about.
var (
	ErrNotStored    = errors.New("message declares no record kind")
	ErrUnknownKind  = errors.New("unknown record kind")
	ErrNewerVersion = errors.New("record is of a newer version than this program knows")
	ErrBadBody      = errors.New("record body does not parse")
)

// Record is a message as the journal stores it.
type Record struct {
	Kind    uint32
	Version uint32
	Body    []byte
}

// Encode gives the record of m: equal messages give equal bytes. The error is ErrNotStored or one of proto.Marshal.
func Encode(m proto.Message) (Record, error) {
	s, err := storedAs(m)
	if err != nil {
		return Record{}, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return Record{}, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return Record{Kind: s.kind, Version: s.version, Body: body}, nil
}

// Decode is the inverse of Encode. Its errors are ErrUnknownKind, ErrNewerVersion and ErrBadBody.
func Decode(r Record) (proto.Message, error) {
	t, ok := kinds()[r.Kind]
	if !ok {
		return nil, fmt.Errorf("%w: %d", ErrUnknownKind, r.Kind)
	}
	if r.Version == 0 || r.Version > t.version {
		return nil, fmt.Errorf("%w: %s version %d, known up to %d", ErrNewerVersion, t.mt.Descriptor().FullName(), r.Version, t.version)
	}
	m := t.mt.New().Interface()
	if err := proto.Unmarshal(r.Body, m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadBody, t.mt.Descriptor().FullName(), err)
	}
	return m, nil
}

// stored is what a message's .proto file declares.
type stored struct {
	kind, version uint32
	mt            protoreflect.MessageType
}

// byType caches the declared kind of each Go type: reading a descriptor option costs more than encoding a small message.
var byType sync.Map // reflect.Type -> stored

func storedAs(m proto.Message) (stored, error) {
	rt := reflect.TypeOf(m)
	if s, ok := byType.Load(rt); ok {
		return s.(stored), nil
	}
	s, ok := declared(m.ProtoReflect().Type())
	if !ok {
		return stored{}, fmt.Errorf("%w: %s", ErrNotStored, m.ProtoReflect().Descriptor().FullName())
	}
	byType.Store(rt, s)
	return s, nil
}

func declared(mt protoreflect.MessageType) (stored, bool) {
	opts := mt.Descriptor().Options()
	if !proto.HasExtension(opts, E_Stored) {
		return stored{}, false
	}
	o := proto.GetExtension(opts, E_Stored).(*Stored)
	return stored{kind: o.GetKind(), version: o.GetVersion(), mt: mt}, true
}

// kinds is every stored message linked into the program. Two messages with one number are a programming error.
var kinds = sync.OnceValue(func() map[uint32]stored {
	all := map[uint32]stored{}
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		s, ok := declared(mt)
		if !ok {
			return true
		}
		if s.kind == 0 || s.version == 0 {
			panic(fmt.Sprintf("record kind and version of %s must not be zero", mt.Descriptor().FullName()))
		}
		if other, taken := all[s.kind]; taken {
			panic(fmt.Sprintf("record kind %d is declared by both %s and %s",
				s.kind, other.mt.Descriptor().FullName(), mt.Descriptor().FullName()))
		}
		all[s.kind] = s
		return true
	})
	return all
})
