package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code    = regexp.MustCompile("`([^`\n]+)`")
	path    = regexp.MustCompile(`^(actors|messages|persistence|peer|chain|cmd|tests|docs|\.ci)/[\w./-]*$`)
	goFile  = regexp.MustCompile(`\b\w+\.go\b`)
	target  = regexp.MustCompile(`\bmake ([a-z]+)\b`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// TestDocs: every link, file, folder and make target that the documents name is there.
func TestDocs(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	files := goFiles(t)
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	for _, document := range append(documents, "../README.md") {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			checkLink(t, document, m[1])
		}
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			if path.MatchString(m[1]) {
				_, err := os.Stat(filepath.Join("..", strings.TrimSuffix(m[1], "/...")))
				require.NoError(t, err, document)
			}
			for _, target := range target.FindAllStringSubmatch(m[1], -1) {
				require.Contains(t, string(makefile), "\n"+target[1]+":", document)
			}
		}
		for _, name := range goFile.FindAllString(string(text), -1) {
			require.Contains(t, files, name, document)
		}
	}
}

// checkLink holds that a link within the repository leads somewhere.
func checkLink(t *testing.T, document, to string) {
	t.Helper()
	if strings.Contains(to, "://") {
		return
	}
	file, anchor, _ := strings.Cut(to, "#")
	at := document
	if file != "" {
		at = filepath.Join(filepath.Dir(document), file)
	}
	text, err := os.ReadFile(at)
	require.NoError(t, err, document)
	if anchor == "" {
		return
	}
	anchors := []string{}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		anchors = append(anchors, anchorOf(m[1]))
	}
	require.True(t, slices.Contains(anchors, anchor), "%s: %s has no heading #%s", document, at, anchor)
}

// anchorOf is how a heading is linked to: in small letters, with dashes for spaces and nothing else but letters and digits.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// goFiles are the names of all Go files.
func goFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == ".git" || d.Name() == ".stormcell" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			names = append(names, filepath.Base(path))
		}
		return err
	}))
	return names
}
