package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	text, err := marshal(answer)
	if err != nil {
		return err
	}
	return p.encode(text)
}

// part is one of several answers, and its name in JSON.
type part struct {
	name   string
	answer proto.Message
}

// printAll is print for several answers.
func (p printer) printAll(parts []part, people func()) error {
	if !p.json {
		people()
		return nil
	}
	all := map[string]json.RawMessage{}
	for _, part := range parts {
		text, err := marshal(part.answer)
		if err != nil {
			return err
		}
		all[part.name] = text
	}
	return p.encode(all)
}

// encode prints JSON.
func (p printer) encode(value any) error {
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

// column is a column of a table.
type column struct {
	name  string
	right bool // numbers stand at the right
}

// table prints rows under the names of their columns.
func (p printer) table(columns []column, rows [][]string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = len(c.name)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	show := func(cells func(i int) string) {
		var out strings.Builder
		for i, c := range columns {
			if i > 0 {
				out.WriteString("  ")
			}
			if c.right {
				fmt.Fprintf(&out, "%*s", widths[i], cells(i))
			} else {
				fmt.Fprintf(&out, "%-*s", widths[i], cells(i))
			}
		}
		p.line("%s", strings.TrimRight(out.String(), " "))
	}
	show(func(i int) string { return columns[i].name })
	for _, row := range rows {
		show(func(i int) string { return row[i] })
	}
}

// when shows a time as clocks here show it; zero is never.
func when(unixSeconds int64) string {
	if unixSeconds == 0 {
		return ""
	}
	return time.Unix(unixSeconds, 0).Format("2006-01-02 15:04")
}

// plain is text from elsewhere, without what would change the terminal, on one line of at most so many characters.
func plain(text string, most int) string {
	shown := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text))
	if len(shown) > most {
		return string(shown[:most-3]) + "..."
	}
	return string(shown)
}
