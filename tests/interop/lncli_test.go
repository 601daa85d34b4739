package interop_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// twins are a Stormcell and an lnd in one state: each has done to the other what the other did to it. lncli asks both the same.
type twins struct{ *pair }

// ask runs lncli with both nodes, and holds our answer against lnd's.
func (w twins) ask(e exceptions, args ...string) (ours, lnds map[string]any) {
	w.t.Helper()
	return w.each(e, func(*node.Lightning) []string { return args })
}

// each is ask for arguments that differ.
func (w twins) each(e exceptions, args func(self *node.Lightning) []string) (ours, lnds map[string]any) {
	w.t.Helper()
	var answers []map[string]any
	for _, self := range []*node.Lightning{w.ours, w.other} {
		answers = append(answers, w.call(self, args(self)...))
	}
	requireAlike(w.t, strings.Join(args(w.ours), " "), answers[0], answers[1], e)
	return answers[0], answers[1]
}

// call runs lncli with one node, which must not refuse.
func (w twins) call(self *node.Lightning, args ...string) map[string]any {
	w.t.Helper()
	printed, complaint := self.Lncli(args...)
	require.Empty(w.t, complaint, "%s: lncli %s", self, strings.Join(args, " "))
	return parsed(w.t, printed)
}

// refuse runs lncli with both nodes, which refuse. The code is to be the same; the text too, unless another is given for us.
func (w twins) refuse(our string, args func(self *node.Lightning) []string) {
	w.t.Helper()
	_, ours := w.ours.Lncli(args(w.ours)...)
	_, lnds := w.other.Lncli(args(w.other)...)
	assert.NotEmpty(w.t, ours, "lncli %s", strings.Join(args(w.ours), " "))
	assert.NotEmpty(w.t, lnds, "lncli %s", strings.Join(args(w.ours), " "))
	if our == "" {
		our = lnds
	}
	assert.Contains(w.t, ours, our, "lncli %s; lnd says: %s", strings.Join(args(w.ours), " "), lnds)
}

// parsed reads what lncli prints: one answer, or the last of several. Lists are put in an order that is the same for twins.
func parsed(t *testing.T, printed string) map[string]any {
	t.Helper()
	if strings.TrimSpace(printed) == "" {
		return map[string]any{}
	}
	var last map[string]any
	for decoder := json.NewDecoder(strings.NewReader(printed)); decoder.More(); {
		last = nil
		require.NoError(t, decoder.Decode(&last), printed)
	}
	for _, list := range last {
		if list, ok := list.([]any); ok {
			slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(opener(a), opener(b)) })
		}
	}
	return last
}

// opener tells which side opened the channel that an entry of a list describes.
func opener(entry any) string {
	of, _ := entry.(map[string]any)
	if inner, ok := of["channel"].(map[string]any); ok {
		of = inner
	}
	return fmt.Sprint(of["initiator"], of["open_initiator"])
}

func same(args ...string) func(*node.Lightning) []string {
	return func(*node.Lightning) []string { return args }
}

// within waits for a condition.
func within(t *testing.T, what string, met func() bool) {
	t.Helper()
	require.Eventually(t, met, patience, 50*time.Millisecond, what)
}

// TestLncli runs lncli v0.21 through what a person does with a node: with ours, and with lnd in the same state.
func TestLncli(t *testing.T) {
	t.Parallel()
	w := twins{newPair(t)}
	w.asksTheNode()
	w.asksTheWallet()
	w.meets()
	w.opens()
	w.isPaid()
	w.holds()
	w.signs()
	w.bakes()
	w.asksOfForwarding()
	w.sends()
	w.isRefused()
	w.closes()
	w.ask(exceptions{own: []string{"status"}}, "stop")
}
