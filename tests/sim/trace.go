package sim

import (
	"fmt"
	"hash/fnv"
)

// trace is what happened in a run, a line each.
type trace struct{ lines []string }

func (t *trace) add(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

// hash is equal for equal runs.
func (t *trace) hash() uint64 {
	h := fnv.New64a()
	for _, l := range t.lines {
		_, _ = h.Write([]byte(l))
		_, _ = h.Write([]byte{'\n'})
	}
	return h.Sum64()
}
