package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

const (
	whyThreads = "a core is called by one goroutine at a time and starts none; heavy pure work goes through Env.Parallel"
	whyOrder   = "the order of a map differs from run to run; range over slices.Sorted(maps.Keys(m)), " +
		"or only collect the keys and sort them in the next statement"
)

// checkCore finds what makes a core more than a function of its state and message: threads, and the order of maps.
func checkCore(s source) []Finding {
	info := s.pkg.TypesInfo
	sorted := sortedAfterwards(s.file, info)
	var found []Finding
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, s.finding(n, Threads, "go statement in a pure core: %s", whyThreads))
		case *ast.SelectStmt:
			found = append(found, s.finding(n, Threads, "select in a pure core: %s", whyThreads))
		case *ast.RangeStmt:
			if is[*types.Map](info.TypeOf(n.X)) && !sorted[n] {
				found = append(found, s.finding(n, Order, "range over a map in a pure core: %s", whyOrder))
			}
		case *ast.Ident:
			if isMapIterator(info.Uses[n]) && !sorted[n] {
				found = append(found, s.finding(n, Order, "maps.%s in a pure core, unsorted: %s", n.Name, whyOrder))
			}
		}
		// Whatever is done with a channel, some expression has its type.
		if e, ok := n.(ast.Expr); ok && is[*types.Chan](info.TypeOf(e)) {
			found = append(found, s.finding(n, Threads, "channel in a pure core: %s", whyThreads))
		}
		return true
	})
	return found
}

// sortedAfterwards collects what brings a map's keys into an order: loops that only append the key to a slice which the next
// statement sorts, and iterators that are the argument of slices.Sorted and its relatives.
func sortedAfterwards(file *ast.File, info *types.Info) map[ast.Node]bool {
	sorted := map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		var stmts []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			stmts = n.List
		case *ast.CaseClause:
			stmts = n.Body
		case *ast.CallExpr:
			if inner, ok := first(n.Args).(*ast.CallExpr); ok && isCallTo(n, info, "slices", "Sorted") {
				sorted[callee(inner)] = true
			}
		}
		for i := 1; i < len(stmts); i++ {
			if loop, ok := stmts[i-1].(*ast.RangeStmt); ok {
				if keys := collected(loop, info); keys != nil && sorts(stmts[i], keys, info) {
					sorted[loop] = true
				}
			}
		}
		return true
	})
	return sorted
}

// collected is the slice that a loop of the form `for k := range m { keys = append(keys, k) }` fills, nil for other loops.
func collected(loop *ast.RangeStmt, info *types.Info) types.Object {
	if loop.Value != nil || len(loop.Body.List) != 1 {
		return nil
	}
	assign, ok := loop.Body.List[0].(*ast.AssignStmt)
	if !ok || assign.Tok != token.ASSIGN || len(assign.Lhs) != 1 {
		return nil
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	if !ok || len(call.Args) != 2 || info.Uses[identOf(call.Fun)] != types.Universe.Lookup("append") {
		return nil
	}
	keys, key := info.Uses[identOf(assign.Lhs[0])], info.Defs[identOf(loop.Key)]
	if keys == nil || key == nil || info.Uses[identOf(call.Args[0])] != keys || info.Uses[identOf(call.Args[1])] != key {
		return nil
	}
	return keys
}

// sorts tells whether stmt is a call of slices.Sort*, or of package sort, on the variable keys.
func sorts(stmt ast.Stmt, keys types.Object, info *types.Info) bool {
	expr, ok := stmt.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := expr.X.(*ast.CallExpr)
	if !ok || info.Uses[identOf(first(call.Args))] != keys {
		return false
	}
	return isCallTo(call, info, "slices", "Sort") || isCallTo(call, info, "sort", "")
}

func isMapIterator(obj types.Object) bool {
	f, ok := obj.(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != "maps" && f.Pkg().Path() != "golang.org/x/exp/maps" {
		return false
	}
	return f.Name() == "Keys" || f.Name() == "Values" || f.Name() == "All"
}

// isCallTo tells whether call is to a function of package pkg whose name starts with prefix.
func isCallTo(call *ast.CallExpr, info *types.Info, pkg, prefix string) bool {
	f, ok := info.Uses[callee(call)].(*types.Func)
	return ok && f.Pkg() != nil && f.Pkg().Path() == pkg && strings.HasPrefix(f.Name(), prefix)
}

// callee is the identifier of the called function or method, nil when the call is of something else.
func callee(call *ast.CallExpr) *ast.Ident {
	fun := ast.Unparen(call.Fun)
	switch instance := fun.(type) {
	case *ast.IndexExpr:
		fun = instance.X
	case *ast.IndexListExpr:
		fun = instance.X
	}
	if sel, ok := fun.(*ast.SelectorExpr); ok {
		return sel.Sel
	}
	return identOf(fun)
}

// is tells whether t is of the kind T: itself, by its definition, or as a type parameter that may stand for one.
func is[T types.Type](t types.Type) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case T:
		return true
	case *types.Interface:
		for i := range u.NumEmbeddeds() {
			if is[T](u.EmbeddedType(i)) {
				return true
			}
		}
	case *types.Union:
		for i := range u.Len() {
			if is[T](u.Term(i).Type()) {
				return true
			}
		}
	}
	return false
}

func identOf(e ast.Expr) *ast.Ident {
	if e == nil {
		return nil
	}
	id, _ := ast.Unparen(e).(*ast.Ident)
	return id
}

func first(exprs []ast.Expr) ast.Expr {
	if len(exprs) == 0 {
		return nil
	}
	return ast.Unparen(exprs[0])
}
