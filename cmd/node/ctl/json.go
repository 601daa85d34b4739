package ctl

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// marshal is an answer in JSON as lncli prints it: the API's names of fields, also of those that are empty, and bytes in
// hexadecimal digits, where protojson has base64.
func marshal(answer proto.Message) (json.RawMessage, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	inHex(answer.ProtoReflect().Descriptor(), fields)
	return json.Marshal(fields)
}

// inHex rewrites the bytes in a message that was read as JSON.
func inHex(message protoreflect.MessageDescriptor, fields map[string]any) {
	for name, value := range fields {
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			continue
		}
		if field.IsMap() {
			entries, _ := value.(map[string]any)
			for key, entry := range entries {
				entries[key] = valueInHex(field.MapValue(), entry)
			}
			continue
		}
		fields[name] = valueInHex(field, value)
	}
}

func valueInHex(field protoreflect.FieldDescriptor, value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = valueInHex(field, value[i])
		}
	case map[string]any:
		inHex(field.Message(), value)
	case string:
		if field.Kind() != protoreflect.BytesKind {
			return value
		}
		if serialized, err := base64.StdEncoding.DecodeString(value); err == nil {
			return hex.EncodeToString(serialized)
		}
	}
	return value
}
