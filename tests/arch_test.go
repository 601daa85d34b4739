package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"stormcell/tests/arch"
)

func TestArchitecture(t *testing.T) {
	t.Parallel()
	found, err := arch.Check("..")
	require.NoError(t, err, "the module must load and compile before its architecture can be checked")
	for _, f := range found {
		t.Error(f)
	}
}

// TestArchitectureCatches runs the check over small modules that break the rules on purpose. Each is an archive of files in
// testdata/arch; a line that breaks a rule ends in the comment `// want "rule"`, and nothing else may be found.
func TestArchitectureCatches(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/arch/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, archives)
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			t.Parallel()
			content, err := txtar.ParseFile(archive)
			require.NoError(t, err)
			root := moduleOf(t, content.Files)
			requireFindings(t, root, wanted(t, content.Files))
		})
	}
}

func TestArchitectureCatchesLongFiles(t *testing.T) {
	t.Parallel()
	lines := func(n int) []byte { return append([]byte("package peer\n"), bytes.Repeat([]byte("// line\n"), n-1)...) }
	root := moduleOf(t, []txtar.File{
		{Name: "peer/fits.go", Data: lines(800)},
		{Name: "peer/long.go", Data: lines(801)},
		{Name: "peer/long_test.go", Data: lines(801)},
		{Name: "messages/wire/wire.pb.go", Data: bytes.Replace(lines(5000), []byte("peer"), []byte("wire"), 1)},
	})
	requireFindings(t, root, []string{"peer/long.go:801 length", "peer/long_test.go:801 length"})
}

func TestArchitectureRefusesCodeThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	root := moduleOf(t, []txtar.File{{Name: "peer/peer.go", Data: []byte("package peer\n\nvar x int = undefined\n")}})
	_, err := arch.Check(root)
	require.ErrorContains(t, err, "undefined")
}

// moduleOf writes files as a module of our name, with our dependencies.
func moduleOf(t *testing.T, files []txtar.File) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, name), text, 0o600))
	}
	for _, f := range files {
		path := filepath.Join(root, filepath.FromSlash(f.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, f.Data, 0o600))
	}
	return root
}

// wanted gives the `// want "rule"` comments as "file:line rule".
func wanted(t *testing.T, files []txtar.File) []string {
	t.Helper()
	var want []string
	for _, f := range files {
		lines := bufio.NewScanner(bytes.NewReader(f.Data))
		for n := 1; lines.Scan(); n++ {
			_, rules, _ := strings.Cut(lines.Text(), "// want ")
			for rules != "" {
				var rule string
				_, err := fmt.Sscanf(rules, "%q", &rule)
				require.NoError(t, err, "%s:%d", f.Name, n)
				want = append(want, fmt.Sprintf("%s:%d %s", f.Name, n, rule))
				rules = strings.TrimSpace(rules[len(fmt.Sprintf("%q", rule)):])
			}
		}
		require.NoError(t, lines.Err())
	}
	return want
}

func requireFindings(t *testing.T, root string, want []string) {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	relative, err := filepath.Rel(here, root) // as TestArchitecture names its module
	require.NoError(t, err)
	found, err := arch.Check(relative)
	require.NoError(t, err)
	got := []string{}
	for _, f := range found {
		require.NotEmpty(t, f.Why)
		got = append(got, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Rule))
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
}
