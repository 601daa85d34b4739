package arch

import (
	"go/types"
)

// checkNames finds what the bans forbid by what each identifier stands for, so that renamed imports, aliases, embedding,
// promoted methods and function values are seen through.
func checkNames(s source) []Finding {
	var found []Finding
	for ident, obj := range s.pkg.TypesInfo.Uses {
		if ident.Pos() < s.file.FileStart || ident.Pos() >= s.file.FileEnd {
			continue
		}
		for _, b := range bans {
			if pkg, name := meaning(obj); under(pkg, b.pkg) && b.forbids(name) {
				found = append(found, s.finding(ident, b.rule, "%s.%s under actors/: %s", pkg, name, b.why))
			}
		}
	}
	return found
}

// meaning is the package and name that a ban would give for obj: for an alias its target, and for a method of a lock the
// lock. Methods otherwise count only when they are proto.actor's: time.Time.After is no clock and rand.Rand has a seed.
func meaning(obj types.Object) (pkg, name string) {
	switch o := obj.(type) {
	case *types.TypeName:
		obj = named(o.Type())
	case *types.Func:
		if recv := o.Signature().Recv(); recv != nil && o.Pkg() != nil && !under(o.Pkg().Path(), protoActor) {
			if obj = named(recv.Type()); obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != "sync" {
				return "", ""
			}
		}
	}
	if obj == nil || obj.Pkg() == nil {
		return "", ""
	}
	return obj.Pkg().Path(), obj.Name()
}

// named is the name of the defined type behind aliases and pointers, nil when there is none.
func named(t types.Type) types.Object {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj()
	}
	return nil
}
