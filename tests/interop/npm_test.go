package interop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// npmTwins are a Stormcell and an lnd in one state, which an npm client asks the same.
type npmTwins struct {
	*pair
	npm *node.Npm
}

func (w npmTwins) both() []*node.Lightning { return []*node.Lightning{w.ours, w.other} }

// args are a call's.
type args = map[string]any

// ask makes a call with both nodes, and holds our answer against lnd's.
func (w npmTwins) ask(e exceptions, call string, args args) (ours, lnds map[string]any) {
	w.t.Helper()
	return w.each(e, call, func(*node.Lightning) map[string]any { return args })
}

// each is ask for arguments that differ.
func (w npmTwins) each(e exceptions, call string, args func(self *node.Lightning) args) (ours, lnds map[string]any) {
	w.t.Helper()
	ours, lnds = w.call(w.ours, call, args(w.ours)), w.call(w.other, call, args(w.other))
	requireAlike(w.t, call, ours, lnds, e)
	return ours, lnds
}

// call makes a call with one node, which must not refuse. Lists are put in an order that is the same for twins.
func (w npmTwins) call(self *node.Lightning, call string, args args) map[string]any {
	w.t.Helper()
	answer, failed := w.npm.Call(self, call, args)
	require.Empty(w.t, failed, "%s: %s", self, call)
	for _, list := range answer {
		if list, ok := list.([]any); ok {
			slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(npmOpener(a), npmOpener(b)) })
		}
	}
	byBit(answer)
	return answer
}

// byBit makes maps of lists of feature bits, wherever they are in an answer, so that exceptions can name a bit.
func byBit(v any) {
	switch v := v.(type) {
	case map[string]any:
		if list, ok := v["features"].([]any); ok {
			bits := map[string]any{}
			for _, bit := range list {
				bits[fmt.Sprint(bit.(map[string]any)["bit"])] = bit
			}
			v["features"] = bits
		}
		for _, inner := range v {
			byBit(inner)
		}
	case []any:
		for _, inner := range v {
			byBit(inner)
		}
	}
}

// npmOpener tells which side opened the channel that an entry of a list describes.
func npmOpener(entry any) string {
	of, _ := entry.(map[string]any)
	return fmt.Sprint(of["is_partner_initiated"])
}

// refuse makes a call with both, which refuse with the same code and name.
func (w npmTwins) refuse(call string, args func(self *node.Lightning) args) {
	w.t.Helper()
	_, ours := w.npm.Call(w.ours, call, args(w.ours))
	_, lnds := w.npm.Call(w.other, call, args(w.other))
	w.refused(call, ours, lnds)
}

// refused holds our refusal against lnd's.
func (w npmTwins) refused(call string, ours, lnds []any) {
	w.t.Helper()
	if assert.GreaterOrEqual(w.t, len(ours), 2, "%s: we do not refuse", call) &&
		assert.GreaterOrEqual(w.t, len(lnds), 2, "%s: lnd does not refuse: %v", call, lnds) {
		assert.Equal(w.t, lnds[:2], ours[:2], "%s: we say %v, lnd says %v", call, ours, lnds)
	}
}

// follow subscribes to events of both.
func (w npmTwins) follow(call string, args func(self *node.Lightning) args, events ...string) npmFollowers {
	w.t.Helper()
	ours := w.npm.Subscribe(w.ours, call, args(w.ours), events...)
	return npmFollowers{w, ours, w.npm.Subscribe(w.other, call, args(w.other), events...)}
}

// npmFollowers are subscriptions of both nodes.
type npmFollowers struct {
	npmTwins
	ours, lnds *node.Subscription
}

// tells waits for an event from both, and holds ours against lnd's.
func (f npmFollowers) tells(e exceptions, event string, met func(value map[string]any) bool) {
	f.t.Helper()
	f.tellsEach(e, event, func(*node.Lightning) func(map[string]any) bool { return met })
}

// tellsEach is tells for conditions that differ.
func (f npmFollowers) tellsEach(
	e exceptions, event string, met func(self *node.Lightning) func(value map[string]any) bool,
) {
	f.t.Helper()
	ours, lnds := f.ours.Next(event, met(f.npmTwins.ours)), f.lnds.Next(event, met(f.other))
	byBit(ours)
	byBit(lnds)
	requireAlike(f.t, event, ours, lnds, e)
}

// has is a condition for events.
func has(name string, want any) func(map[string]any) bool {
	return func(value map[string]any) bool { return value[name] == want }
}

func whatever(map[string]any) bool { return true }

func all(args args) func(*node.Lightning) args {
	return func(*node.Lightning) map[string]any { return args }
}

// TestNpmClients runs npm's clients of lnd through what a program does with a node: with ours, and with lnd in the same state.
// ln-service is made of lightning, so that one of them goes all the way.
func TestNpmClients(t *testing.T) {
	t.Parallel()
	node.RequireNpm(t)
	p := newPair(t)
	w := npmTwins{p, node.StartNpm(t, "ln-service", p.ours, p.other)}
	w.asksTheNode()
	w.asksTheWallet()
	w.meets()
	w.opens()
	w.isPaid()
	w.holds()
	w.failsToPay()
	w.deletes()
	w.signs()
	w.grants()
	w.sends()
	w.isRefused()

	lightning := npmTwins{p, node.StartNpm(t, "lightning", p.ours, p.other)}
	lightning.asksTheNode()
	lightning.holds()
	lightning.signs()

	w.closes()
	w.sweeps()
	w.stops()
}

// TestNpmClientsCreate makes a wallet with an npm client of lnd, and unlocks it after a restart: ours, and lnd's.
func TestNpmClientsCreate(t *testing.T) {
	t.Parallel()
	node.RequireNpm(t)
	chain := node.StartBtcd(t)
	ours := node.LaunchStormcell(t, "--chain=neutrino", "--neutrino.connect="+chain.P2P)
	p := &pair{t, chain, ours, node.LaunchLnd(t, chain)}
	w := npmTwins{p, node.StartNpm(t, "ln-service", p.ours, p.other)}
	w.awaitStatus("is_absent")
	seed, lndSeed := w.ask(exceptions{differs: []string{"seed"}}, "createSeed", nil)
	seeds := map[*node.Lightning]any{w.ours: seed["seed"], w.other: lndSeed["seed"]}
	w.refuse("createWallet", func(self *node.Lightning) args { return args{"seed": seeds[self], "password": "short"} })
	w.each(exceptions{}, "createWallet", func(self *node.Lightning) args {
		return args{"seed": seeds[self], "password": "correct horse"}
	})
	w.awaitStatus("is_ready")
	w.refuse("unlockWallet", all(args{"password": "correct horse"}))
	for _, self := range w.both() {
		self.Stop()
		self.Relaunch()
	}
	w.awaitStatus("is_locked")
	_, locked := w.npm.CallWith(w.ours.Macaroon(), w.ours, "getWalletInfo", nil)
	_, lndLocked := w.npm.CallWith(w.other.Macaroon(), w.other, "getWalletInfo", nil)
	w.refused("getWalletInfo", locked, lndLocked)
	w.refuse("unlockWallet", all(args{"password": "battery staple"}))
	heard := w.follow("subscribeToWalletStatus", all(nil), "locked", "ready")
	heard.tells(exceptions{}, "locked", whatever)
	w.ask(exceptions{}, "unlockWallet", args{"password": "correct horse"})
	heard.tells(exceptions{}, "ready", whatever)
	w.awaitStatus("is_ready")
	for _, self := range w.both() {
		_, failed := w.npm.CallWith(self.Macaroon(), self, "getIdentity", nil)
		require.Empty(t, failed, "%s does not know the macaroon that it made", self)
	}
}

// awaitSynced waits until both have heard of every block.
func (w npmTwins) awaitSynced() {
	w.t.Helper()
	for _, self := range w.both() {
		self.AwaitSynced()
	}
}

// awaitStatus waits until both wallets are in a state, of which they tell the same.
func (w npmTwins) awaitStatus(state string) {
	w.t.Helper()
	for _, self := range w.both() {
		within(w.t, fmt.Sprint(self, " comes to ", state), func() bool {
			answer, failed := w.npm.Call(self, "getWalletStatus", nil)
			return len(failed) == 0 && answer[state] == true
		})
	}
	w.ask(exceptions{}, "getWalletStatus", nil)
}
