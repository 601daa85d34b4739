// Package fault is what a command ends with when it fails: what is wrong, what to do about it, and the exit code.
package fault

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Code is an exit code. Scripts depend on them.
type Code int

// The exit codes.
const (
	Failed      Code = 1 // what was asked for did not work
	Usage       Code = 2 // the command line, the environment or the configuration file is wrong
	Unreachable Code = 3 // the daemon does not answer
	Locked      Code = 4 // there is no wallet yet, or it is locked
	Forbidden   Code = 5 // wrong passphrase or macaroon
	Data        Code = 6 // the data directory cannot be used: in use, full, broken, or another network's
	Journal     Code = 7 // the journal failed while the daemon ran
)

// Codes lists the exit codes for people.
const Codes = `0  it worked
1  it did not work
2  the command line, the environment or the configuration file is wrong
3  the daemon does not answer
4  there is no wallet yet, or it is locked
5  wrong passphrase or macaroon
6  the data directory cannot be used: in use, full, broken, or another network's
7  the journal failed while the daemon ran`

// Fault is an error for a person.
type Fault struct {
	Code Code
	// Err is what is wrong.
	Err error
	// Do is what to do about it, in a sentence; it may be empty.
	Do string
}

// New makes a fault.
func New(code Code, err error, do string, args ...any) *Fault {
	return &Fault{Code: code, Err: err, Do: fmt.Sprintf(do, args...)}
}

func (f *Fault) Error() string { return f.Err.Error() }

func (f *Fault) Unwrap() error { return f.Err }

// Report prints an error, and what to do, and gives the exit code: Failed for what is not a fault.
func Report(w io.Writer, err error) Code {
	fmt.Fprintln(w, Wrap(fmt.Sprintf("stormcell: %v", err), width))
	var f *Fault
	if !errors.As(err, &f) {
		return Failed
	}
	if f.Do != "" {
		fmt.Fprintln(w, Wrap(f.Do, width))
	}
	return f.Code
}

// width is how wide a terminal is at least.
const width = 80

// Wrap breaks a text between words into lines of at most so many columns.
func Wrap(text string, width int) string {
	var out strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			out.WriteByte('\n')
			column = 0
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += len(word)
	}
	return out.String()
}
