// Package version says which program this is.
package version

import "runtime/debug"

// Number is the version of this program, as semantic versioning has it.
const Number = "0.1.0-dev"

// Commit is the revision that the program was built from, with a plus sign if the tree had changes; empty if the build does
// not say.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + modified
}
