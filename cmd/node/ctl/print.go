package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// printer prints answers, for people or for programs.
type printer struct {
	out  io.Writer
	json bool
}

// print prints an answer as JSON, as lncli names the fields, or lets people do it for people.
func (p printer) print(answer proto.Message, people func()) error {
	if !p.json {
		people()
		return nil
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return err
	}
	// protojson varies its spaces on purpose.
	var value json.RawMessage = text
	encoder := json.NewEncoder(p.out)
	encoder.SetIndent("", "    ")
	return encoder.Encode(value)
}

func (p printer) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// pairs prints names and values in two columns, without those that have no value. A value of several lines is indented.
func (p printer) pairs(pairs ...[2]string) {
	width := 0
	for _, pair := range pairs {
		if pair[1] != "" {
			width = max(width, len(pair[0]))
		}
	}
	for _, pair := range pairs {
		for i, value := range strings.Split(pair[1], "\n") {
			if value == "" {
				continue
			}
			name := pair[0]
			if i > 0 {
				name = ""
			}
			p.line("%-*s  %s", width, name, value)
		}
	}
}
