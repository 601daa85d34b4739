package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "stormcell/messages/channel"
	_ "stormcell/messages/durable"
	_ "stormcell/messages/invoice"
	_ "stormcell/messages/journal"
	_ "stormcell/messages/monitor"
	_ "stormcell/messages/payment"
	_ "stormcell/messages/peerbook"
	"stormcell/messages/record"
	_ "stormcell/messages/registry"
	_ "stormcell/messages/wallet"
)

const (
	kindsFile = "testdata/kinds.txt"
	// firstTestKind begins the numbers for messages that live in tests and examples; no node ever stores one.
	firstTestKind = 9000
)

// kindLine is one line of the table of record kinds.
type kindLine struct {
	kind    uint32
	version string // a number, or "retired"
	message string
}

func (l kindLine) String() string { return fmt.Sprintf("%d %s %s", l.kind, l.version, l.message) }

// TestRecordKinds compares the record kinds that messages/ declares with the table of all kinds that were ever given out.
// A journal lives longer than the program that wrote it: what a number stands for can never change.
func TestRecordKinds(t *testing.T) {
	t.Parallel()
	requireAllMessagesLinked(t)
	given := readKinds(t)
	declared := declaredKinds()

	for kind, line := range declared {
		require.Less(t, kind, uint32(firstTestKind), "%s: numbers from %d on are for tests and examples",
			line.message, firstTestKind)
		was, known := given[kind]
		switch {
		case !known:
			t.Errorf("%s is a new record kind. Give it a number that tests/%s does not have, and add the line\n\t%s",
				line.message, kindsFile, line)
		case was.version == "retired":
			t.Errorf("%s declares kind %d, which was %s: old journals may hold it. Take a number that tests/%s does not have",
				line.message, kind, was.message, kindsFile)
		case was.message != line.message:
			t.Errorf("kind %d was %s and is now declared by %s. Give the old message its number back; a new message takes "+
				"a number that tests/%s does not have", kind, was.message, line.message, kindsFile)
		case was.version != line.version:
			t.Errorf("%s has gone from version %s to %s. If it gained a field, that is right: change its line in tests/%s to"+
				"\n\t%s", line.message, was.version, line.version, kindsFile, line)
		}
	}
	for kind, was := range given {
		if _, ok := declared[kind]; !ok && was.version != "retired" {
			t.Errorf("kind %d, %s, is no longer declared. If no journal in the world holds it any more, keep its line in "+
				"tests/%s as\n\t%s", kind, was.message, kindsFile, kindLine{kind, "retired", was.message})
		}
	}
}

// requireAllMessagesLinked fails when a .proto file with record kinds is not linked into this test: it would not be
// checked.
func requireAllMessagesLinked(t *testing.T) {
	t.Helper()
	root := os.DirFS("..")
	err := fs.WalkDir(root, "messages", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".proto" {
			return err
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("stormcell.record.stored")) {
			_, missing := protoregistry.GlobalFiles.FindFileByPath(path)
			require.NoError(t, missing, "%s is not checked: run make generate, and import its package in kinds_test.go", path)
		}
		return nil
	})
	require.NoError(t, err)
}

func declaredKinds() map[uint32]kindLine {
	declared := map[uint32]kindLine{}
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		d := mt.Descriptor()
		if strings.HasPrefix(d.ParentFile().Path(), "messages/") && proto.HasExtension(d.Options(), record.E_Stored) {
			s := proto.GetExtension(d.Options(), record.E_Stored).(*record.Stored)
			declared[s.GetKind()] = kindLine{s.GetKind(), fmt.Sprint(s.GetVersion()), string(d.FullName())}
		}
		return true
	})
	return declared
}

func readKinds(t *testing.T) map[uint32]kindLine {
	t.Helper()
	file, err := os.Open(kindsFile)
	require.NoError(t, err)
	defer file.Close()
	given, last := map[uint32]kindLine{}, uint32(0)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text := lines.Text()
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		var l kindLine
		_, err := fmt.Sscanf(text, "%d %s %s", &l.kind, &l.version, &l.message)
		require.NoError(t, err, "tests/%s: %q: want kind, version and message", kindsFile, text)
		require.Greater(t, l.kind, last, "tests/%s: %q: numbers go up", kindsFile, text)
		given[l.kind], last = l, l.kind
	}
	return given
}
