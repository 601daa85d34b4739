package persistence

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/messages/journal"
)

// cast is a handful of actors that take random, correct steps on several journals alike.
type cast struct {
	actors []*actor
	// inboxes are the letters that each actor has not consumed, in log order.
	inboxes map[Address][]InboxID
}

func newCast() *cast {
	c := &cast{inboxes: map[Address][]InboxID{}}
	for _, addr := range []Address{"account/a", "account/a/1", "account/ab", "shard/a"} {
		c.actors = append(c.actors, &actor{addr: addr})
	}
	return c
}

func body(t *rapid.T) string {
	n := rapid.IntRange(0, 40).Draw(t, "length")
	return strings.Repeat(string(rune('a'+n%26)), n)
}

// largeBody is at times one that is stored in pieces. A commit has room for two.
func largeBody(t *rapid.T) string {
	if rapid.IntRange(0, 99).Draw(t, "large") != 57 {
		return body(t)
	}
	return strings.Repeat("L", maxValue+rapid.IntRange(0, maxValue+10).Draw(t, "more"))
}

// step draws the next commit. The same commit goes to every journal, before sent is called.
func (c *cast) step(t *rapid.T) *Commit {
	a := rapid.SampledFrom(c.actors).Draw(t, "actor")
	if rapid.IntRange(0, 4).Draw(t, "snapshot") == 0 {
		return a.snapshot(largeBody(t))
	}
	return a.step(func(h *journal.Head, commit *Commit) {
		for range rapid.IntRange(0, 3).Draw(t, "events") {
			commit.Events = append(commit.Events, rec(body(t)))
			h.LastEvent++
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "letters") {
			letter := Letter{To: rapid.SampledFrom(c.actors).Draw(t, "to").addr}
			if letter.Body = rec(body(t)); i == 0 {
				letter.Body = rec(largeBody(t))
			}
			commit.Send = append(commit.Send, letter)
		}
		c.consume(t, a.addr, h, commit)
		if rapid.Bool().Draw(t, "column") {
			column := Column{Key: rapid.SampledFrom([]string{"x", "x/1", "x/2", "y"}).Draw(t, "key")}
			if rapid.Bool().Draw(t, "value") {
				column.Value = recp(largeBody(t))
				column.Numbered = rapid.Bool().Draw(t, "numbered")
			}
			commit.Columns = append(commit.Columns, column)
		}
		if rapid.Bool().Draw(t, "wake") {
			commit.Wake = []Address{rapid.SampledFrom(c.actors).Draw(t, "woken").addr}
		}
		commit.Leave = rapid.Bool().Draw(t, "leave")
	})
}

// consume draws letters of the inbox and moves the low-water mark to the oldest that remains.
func (c *cast) consume(t *rapid.T, a Address, h *journal.Head, commit *Commit) {
	var left []InboxID
	for _, id := range c.inboxes[a] {
		if rapid.Bool().Draw(t, "consume") {
			commit.Consume = append(commit.Consume, id)
		} else {
			left = append(left, id)
		}
	}
	switch {
	case len(left) > 0:
		h.InboxLsn, h.InboxN = uint64(left[0].LSN), left[0].N
	case len(commit.Consume) > 0:
		newest := commit.Consume[len(commit.Consume)-1]
		h.InboxLsn, h.InboxN = uint64(newest.LSN), newest.N+1
	}
	c.inboxes[a] = left
}

func (c *cast) sent(commit *Commit) {
	for _, l := range commit.Send {
		c.inboxes[l.To] = append(c.inboxes[l.To], l.ID)
	}
}

// contents describes everything in a journal that a caller can see.
func (c *cast) contents(t require.TestingT, j Journal) string {
	var out strings.Builder
	for _, a := range c.actors {
		s, err := j.Read(a.addr)
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s as of %d\n%s", a.addr, s.AsOf, describe(s))
	}
	for _, reverse := range []bool{false, true} {
		page, err := j.Columns(Page{Limit: 100, Reverse: reverse})
		require.NoError(t, err)
		for _, column := range page {
			fmt.Fprintf(&out, "column %s %+v\n", column.Key, *column.Value)
		}
	}
	require.NoError(t, j.Live(func(a Address) bool { fmt.Fprintf(&out, "live %s\n", a); return true }))
	return out.String()
}

func TestMemoryAndBadgerHoldTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		memory, onDisk := Journal(NewMemory()), mustOpen(t, dir)
		defer func() { _ = onDisk.Close() }()
		c := newCast()
		onDisk.Start(newProgress())
		t.Repeat(map[string]func(*rapid.T){
			"commits": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "steps") {
					commit := c.step(t)
					other := *commit
					other.Send = append([]Letter(nil), commit.Send...)
					first, err := memory.Submit(commit)
					require.NoError(t, err)
					second, err := onDisk.Submit(&other)
					require.NoError(t, err)
					require.Equal(t, first, second)
					require.Equal(t, commit.Send, other.Send)
					c.sent(commit)
				}
			},
			"reopen": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "now") != 0 {
					return
				}
				last := memory.Last()
				require.NoError(t, memory.Close())
				require.NoError(t, onDisk.Close())
				memory, onDisk = memory.(*Memory).Crash(last), mustOpen(t, dir)
				require.Equal(t, c.contents(t, memory), c.contents(t, onDisk))
				onDisk.Start(newProgress())
			},
		})
		last := memory.Last()
		require.NoError(t, memory.Close())
		require.NoError(t, onDisk.Close())
		memory, onDisk = memory.(*Memory).Crash(last), mustOpen(t, dir)
		require.Equal(t, c.contents(t, memory), c.contents(t, onDisk))
		require.Equal(t, pieceKeys(t, onDisk), indexedPieces(onDisk), "pieces that nothing refers to")
	})
}

func mustOpen(t require.TestingT, dir string) *Badger {
	j, err := Open(testOptions(dir))
	require.NoError(t, err)
	return j
}
