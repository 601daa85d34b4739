// Package arch checks that the code keeps the architecture: which folder may import which, what may not be named under
// actors/, and what the pure cores do without. The rules are the tables of rules.go.
package arch

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// Finding is one breach of one rule.
type Finding struct {
	File string // relative to the module's root, with slashes
	Line int
	Rule Rule
	Why  string
}

func (f Finding) String() string { return fmt.Sprintf("%s:%d: [%s] %s", f.File, f.Line, f.Rule, f.Why) }

// source is one loaded file that is neither generated nor a test.
type source struct {
	path string // relative to the module's root, with slashes
	file *ast.File
	pkg  *packages.Package
}

const loadMode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
	packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo

// Check holds the module rooted at root against every rule and gives the breaches in order of file and line, one for each
// line and rule. The error tells of code that does not load or compile: then nothing can be said about it.
func Check(root string) ([]Finding, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	found, err := checkLayout(root)
	if err != nil {
		return nil, err
	}
	sources, err := load(root)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		found = append(found, checkImports(s)...)
		if under(s.path, "actors") {
			found = append(found, checkNames(s)...)
		}
		if isCore(s.path) {
			found = append(found, checkCore(s)...)
		}
	}
	found = slices.DeleteFunc(found, func(f Finding) bool { return excepted(f.File, f.Rule) })
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Why, b.Why))
	})
	return slices.CompactFunc(found, func(a, b Finding) bool {
		return a.File == b.File && a.Line == b.Line && a.Rule == b.Rule
	}), nil
}

func load(root string) ([]source, error) {
	pkgs, err := packages.Load(&packages.Config{Mode: loadMode, Dir: root}, "./...")
	if err != nil {
		return nil, fmt.Errorf("load the module at %s: %w", root, err)
	}
	var sources []source
	var broken []error
	for _, pkg := range pkgs {
		for _, e := range pkg.Errors {
			broken = append(broken, e)
		}
		for _, file := range pkg.Syntax {
			path, err := filepath.Rel(root, pkg.Fset.Position(file.Package).Filename)
			if err != nil {
				return nil, fmt.Errorf("place a file of %s: %w", pkg.PkgPath, err)
			}
			if strings.HasPrefix(path, "..") || isGenerated(path) { // cgo's own files lie outside
				continue
			}
			sources = append(sources, source{path: filepath.ToSlash(path), file: file, pkg: pkg})
		}
	}
	if len(sources) == 0 {
		broken = append(broken, fmt.Errorf("no code at %s", root))
	}
	return sources, errors.Join(broken...)
}

func (s source) finding(n ast.Node, rule Rule, format string, args ...any) Finding {
	line := s.pkg.Fset.Position(n.Pos()).Line
	return Finding{File: s.path, Line: line, Rule: rule, Why: fmt.Sprintf(format, args...)}
}

// under tells whether path is dir or lies in it; both are slash-separated.
func under(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/')
}

func underAny(path string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return under(path, dir) })
}

func isGenerated(path string) bool {
	return strings.HasSuffix(path, ".pb.go") || strings.HasSuffix(path, ".pb.gw.go")
}
