package arch

import (
	"slices"
	"strconv"
	"strings"
)

// checkImports holds a file's imports against the arrows, and a core's against what is impure.
func checkImports(s source) []Finding {
	var found []Finding
	from, _, _ := strings.Cut(s.path, "/")
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the file would not have parsed
		}
		if to, ours := strings.CutPrefix(imported, module+"/"); ours && from != "tests" {
			to, _, _ = strings.Cut(to, "/")
			if to != from && !slices.Contains(arrows[from], to) {
				found = append(found, s.finding(spec, Arrows, "%s imports %s, but arrows point "+
					"cmd -> actors -> {peer, chain, persistence} -> messages, and production code knows no tests", from, imported))
			}
		}
		if !isCore(s.path) || slices.Contains(pureAfterAll, imported) {
			continue
		}
		for _, i := range impure {
			if under(imported, i.path) {
				found = append(found, s.finding(spec, Pure, "%s in a pure core: %s (shell.go may import it)", imported, i.why))
			}
		}
	}
	return found
}
