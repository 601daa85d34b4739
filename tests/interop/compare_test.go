package interop_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// exceptions say where our answer may be other than lnd's. A path is of names with dots between, [] for each of a list, and *
// for each name of a map.
type exceptions struct {
	// differs: both have something of the same type there, or both have nothing: ids, times, amounts that mirror each other.
	differs []string
	// own: each has its own there, of the same type, and may have nothing.
	own []string
	// lacks: lnd has something there that we do not have. It is a mistake to list what there is.
	lacks []string
	// more: we have something there that lnd does not have. It is a mistake to list what lnd has.
	more []string
}

func (e exceptions) and(more exceptions) exceptions {
	return exceptions{
		slices.Concat(e.differs, more.differs), slices.Concat(e.own, more.own), slices.Concat(e.lacks, more.lacks),
		slices.Concat(e.more, more.more),
	}
}

// comparison notes where two answers differ and should not, and which exceptions were needed.
type comparison struct {
	exceptions
	wrong []string
	used  map[string]bool
}

// requireAlike holds our answer to a call, as JSON, against lnd's.
func requireAlike(t *testing.T, call string, ours, lnds map[string]any, e exceptions) {
	t.Helper()
	c := &comparison{exceptions: e, used: map[string]bool{}}
	c.compareMaps("", "", ours, lnds)
	for _, path := range slices.Concat(e.lacks, e.more) {
		if !c.used[path] {
			c.wrong = append(c.wrong, path+": there is no difference any more")
		}
	}
	if len(c.wrong) > 0 {
		t.Errorf("%s:\n%s", call, strings.Join(c.wrong, "\n"))
	}
}

func (c *comparison) compare(path, at string, us, them any) {
	if slices.Contains(c.own, path) && fmt.Sprintf("%T", us) == fmt.Sprintf("%T", them) {
		return
	}
	same, empty, none := fmt.Sprint(us) == fmt.Sprint(them), isEmpty(us), isEmpty(them)
	allowed := func(list []string) bool {
		if !slices.Contains(list, path) {
			return false
		}
		c.used[path] = true
		return true
	}
	switch {
	case same && fmt.Sprintf("%T", us) == fmt.Sprintf("%T", them):
		return
	case (empty && !none || us == nil && them != nil) && allowed(c.lacks), none && !empty && allowed(c.more):
		return
	case fmt.Sprintf("%T", us) == fmt.Sprintf("%T", them) && empty == none && allowed(c.differs):
		return
	}
	switch us := us.(type) {
	case map[string]any:
		if them, ok := them.(map[string]any); ok {
			c.compareMaps(path, at, us, them)
			return
		}
	case []any:
		if them, ok := them.([]any); ok && len(us) == len(them) {
			for i := range us {
				c.compare(path+"[]", fmt.Sprintf("%s[%d]", at, i), us[i], them[i])
			}
			return
		}
	}
	c.wrong = append(c.wrong, fmt.Sprintf("%s: we say %s, lnd says %s", at, brief(us), brief(them)))
}

func (c *comparison) compareMaps(path, at string, us, them map[string]any) {
	names := map[string]bool{}
	for name := range us {
		names[name] = true
	}
	for name := range them {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		general := strings.TrimPrefix(path+"."+name, ".")
		if star := strings.TrimPrefix(path+".*", "."); c.names(star) {
			general = star
		}
		c.compare(general, strings.TrimPrefix(at+"."+name, "."), us[name], them[name])
	}
}

// names tells whether an exception is for a path, or for something below it.
func (c *comparison) names(path string) bool {
	return slices.ContainsFunc(slices.Concat(c.differs, c.lacks, c.more, c.own), func(other string) bool {
		return other == path || strings.HasPrefix(other, path+".") || strings.HasPrefix(other, path+"[")
	})
}

// isEmpty tells whether something is what protobuf gives for a field that is not set, or ln-service for a channel's id that is not.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == "" || v == "0" || v == "0x0x0" || v == strings.Repeat("00", 32)
	case float64:
		return v == 0
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func brief(v any) string {
	const longest = 300
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text[:min(len(text), longest)])
}
