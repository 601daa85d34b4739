package arch

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// checkLayout walks every Go file of ours, test files included.
func checkLayout(root string) ([]Finding, error) {
	var found []Finding
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || p != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(p) != ".go" {
			return nil
		}
		folders := codeFolders
		if isGenerated(p) {
			folders = generatedFolders
		}
		if !underAny(p, folders) {
			found = append(found, Finding{File: p, Line: 1, Rule: Layout,
				Why: fmt.Sprintf("such a file belongs under one of %s", strings.Join(folders, ", "))})
		}
		if isGenerated(p) {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			return err
		}
		if lines := bytes.Count(text, []byte("\n")); lines > maxLines {
			found = append(found, Finding{File: p, Line: maxLines + 1, Rule: Length,
				Why: fmt.Sprintf("%d lines are more than one sitting; split it by what it is about (at most %d)", lines, maxLines)})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk %s: %w", root, err)
	}
	return found, nil
}
