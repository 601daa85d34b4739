package persistence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
)

// implementation opens journals of one kind.
type implementation struct {
	name string
	open func(t testing.TB) Journal
	// reopen closes the journal and opens it again.
	reopen func(t testing.TB, j Journal) Journal
}

var implementations = []implementation{
	{
		name: "memory",
		open: func(testing.TB) Journal { return NewMemory() },
		reopen: func(t testing.TB, j Journal) Journal {
			last := j.Last()
			require.NoError(t, j.Close())
			return j.(*Memory).Crash(last)
		},
	},
	{
		name: "badger",
		open: func(t testing.TB) Journal { return openBadger(t, testOptions(t.TempDir())) },
		reopen: func(t testing.TB, j Journal) Journal {
			b := j.(*Badger)
			require.NoError(t, b.Close())
			return openBadger(t, b.opts)
		},
	},
}

// contract runs a test on every implementation.
func contract(t *testing.T, test func(t *testing.T, im implementation, j Journal, p *progress)) {
	t.Parallel()
	for _, im := range implementations {
		t.Run(im.name, func(t *testing.T) {
			t.Parallel()
			j, p := im.open(t), newProgress()
			j.Start(p)
			test(t, im, j, p)
			require.NoError(t, j.Close())
		})
	}
}

func read(t testing.TB, j Journal, a Address) *Stored {
	t.Helper()
	s, err := j.Read(a)
	require.NoError(t, err)
	return s
}

func inbox(t testing.TB, j Journal, a Address) []string {
	t.Helper()
	var out []string
	for _, l := range read(t, j, a).Inbox {
		out = append(out, string(l.Body.Body))
	}
	return out
}

func live(t testing.TB, j Journal) []Address {
	t.Helper()
	var out []Address
	require.NoError(t, j.Live(func(a Address) bool { out = append(out, a); return true }))
	return out
}

func TestCommitsAreNumberedInOrderOfSubmission(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		require.Zero(t, j.Last())
		require.Zero(t, j.Durable())
		a := &actor{addr: "account/a"}
		for i := range 100 {
			require.Equal(t, LSN(i+1), submit(t, j, a.events("e")))
			require.Equal(t, LSN(i+1), j.Last())
		}
		require.NoError(t, p.wait(100))
		require.Equal(t, LSN(100), j.Durable())
		j = im.reopen(t, j)
		j.Start(newProgress())
		require.Equal(t, LSN(100), j.Last())
		require.Equal(t, LSN(101), submit(t, j, a.events("e")))
		require.NoError(t, j.Close())
	})
}

func TestListenerHearsEachBatchOnceInOrder(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		const writers, each = 8, 50
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				a := &actor{addr: Address(fmt.Sprintf("account/%d", w))}
				for range each {
					lsn, err := j.Submit(a.events("e"))
					if err != nil || p.wait(lsn) != nil {
						t.Errorf("commit %d: %v", lsn, err)
						return
					}
					if j.Durable() < lsn {
						t.Errorf("told that %d is durable, but only %d is", lsn, j.Durable())
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, j.Close())
		require.Empty(t, p.failed)
		require.True(t, slices.IsSorted(p.durable))
		require.Len(t, slices.Compact(slices.Clone(p.durable)), len(p.durable))
		require.Equal(t, LSN(writers*each), p.durable[len(p.durable)-1])
	})
}

func TestNothingIsStoredAtAFreshAddress(t *testing.T) {
	contract(t, func(t *testing.T, _ implementation, j Journal, _ *progress) {
		s := read(t, j, "account/none")
		require.Equal(t, &Stored{}, s)
		require.Empty(t, live(t, j))
		value, err := j.Column("none")
		require.NoError(t, err)
		require.Nil(t, value)
	})
}

func TestEventsAndSnapshot(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a := &actor{addr: "account/a"}
		submit(t, j, a.events("1", "2"))
		require.NoError(t, p.wait(submit(t, j, a.events("3"))))
		s := read(t, j, a.addr)
		require.Equal(t, []string{"1", "2", "3"}, bodies(s.Events))
		require.Nil(t, s.Snapshot)
		require.Equal(t, LSN(2), s.AsOf)

		submit(t, j, a.snapshot("1-3"))
		require.NoError(t, p.wait(submit(t, j, a.events("4"))))
		for range 2 {
			s = read(t, j, a.addr)
			require.Equal(t, []string{"4"}, bodies(s.Events))
			require.Equal(t, rec("1-3"), *s.Snapshot)
			require.Equal(t, uint64(4), s.Head.LastEvent)
			require.Equal(t, uint64(3), s.Head.SnapshotEvent)
			require.Equal(t, LSN(4), s.AsOf)
			j = im.reopen(t, j)
		}
		require.NoError(t, j.Close())
	})
}

func TestInboxIsInLogOrderFromTheLowWaterMark(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a, b, c := &actor{addr: "account/a"}, &actor{addr: "account/b"}, &actor{addr: "account/c"}
		first := a.send(c.addr, "a1", "a2")
		submit(t, j, first)
		require.Equal(t, InboxID{LSN: 1, N: 0}, first.Send[0].ID)
		require.Equal(t, InboxID{LSN: 1, N: 1}, first.Send[1].ID)
		second := b.send(c.addr, "b1")
		submit(t, j, second)
		third := a.send(c.addr, "a3")
		require.NoError(t, p.wait(submit(t, j, third)))
		require.Equal(t, []string{"a1", "a2", "b1", "a3"}, inbox(t, j, c.addr))
		s := read(t, j, c.addr)
		require.Nil(t, s.Head, "a letter creates nothing")
		require.Equal(t, Letter{ID: second.Send[0].ID, From: b.addr, To: c.addr, Body: rec("b1")}, s.Inbox[2])

		// The second is kept while the third is consumed.
		submit(t, j, c.consume(first.Send[1].ID, first.Send[0].ID))
		require.NoError(t, p.wait(submit(t, j, c.consume(first.Send[1].ID, second.Send[0].ID))))
		require.Equal(t, []string{"a2", "a3"}, inbox(t, j, c.addr))
		j = im.reopen(t, j)
		require.Equal(t, []string{"a2", "a3"}, inbox(t, j, c.addr))
		require.NoError(t, j.Close())
	})
}

func TestLettersToOneselfAndWithinOneBatch(t *testing.T) {
	contract(t, func(t *testing.T, _ implementation, j Journal, p *progress) {
		a := &actor{addr: "account/a"}
		sent := a.send(a.addr, "x", "y")
		submit(t, j, sent)
		require.NoError(t, p.wait(submit(t, j, a.consume(sent.Send[1].ID, sent.Send[0].ID))))
		require.Equal(t, []string{"y"}, inbox(t, j, a.addr))
	})
}

// Addresses that are prefixes of each other must not see each other's records.
func TestAddressesThatArePrefixes(t *testing.T) {
	contract(t, func(t *testing.T, _ implementation, j Journal, p *progress) {
		addrs := []Address{"shard/1", "shard/1/", "shard/1/2", "shard/12", "shard/1!"}
		var last LSN
		for _, addr := range addrs {
			a := &actor{addr: addr}
			submit(t, j, a.events(string(addr)))
			last = submit(t, j, a.send(addr, "to "+string(addr)))
		}
		require.NoError(t, p.wait(last))
		for _, addr := range addrs {
			s := read(t, j, addr)
			require.Equal(t, []string{string(addr)}, bodies(s.Events))
			require.Equal(t, []string{"to " + string(addr)}, inbox(t, j, addr))
		}
	})
}

func TestColumns(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a := &actor{addr: "account/a"}
		keys := []string{"p", "p/1", "p/2", "p/3", "p/\xff", "p/\xff\xff", "q/1", "\xff", "\xff\xff1"}
		for _, k := range keys {
			submit(t, j, a.column(k, recp("v"+k)))
		}
		submit(t, j, a.column("p/2", recp("new")))
		submit(t, j, a.column("gone", recp("x")))
		require.NoError(t, p.wait(submit(t, j, a.column("gone", nil))))
		j = im.reopen(t, j)

		value, err := j.Column("p/2")
		require.NoError(t, err)
		require.Equal(t, rec("new"), *value)
		value, err = j.Column("gone")
		require.NoError(t, err)
		require.Nil(t, value)

		for _, c := range []struct {
			page Page
			want []string
		}{
			{Page{Limit: 100}, keys},
			{Page{Prefix: "p/", Limit: 100}, []string{"p/1", "p/2", "p/3", "p/\xff", "p/\xff\xff"}},
			{Page{Prefix: "p/", Limit: 2}, []string{"p/1", "p/2"}},
			{Page{Prefix: "p/", After: "p/2", Limit: 2}, []string{"p/3", "p/\xff"}},
			{Page{Prefix: "p/", After: "p/\xff\xff", Limit: 2}, nil},
			{Page{Prefix: "p/", After: "p/21", Limit: 1}, []string{"p/3"}},
			{Page{Prefix: "p/", Reverse: true, Limit: 2}, []string{"p/\xff\xff", "p/\xff"}},
			{Page{Prefix: "p/", After: "p/3", Reverse: true, Limit: 9}, []string{"p/2", "p/1"}},
			{Page{Prefix: "p/", After: "p/1", Reverse: true, Limit: 9}, nil},
			{Page{Prefix: "p/", After: "z", Reverse: true, Limit: 1}, []string{"p/\xff\xff"}},
			{Page{Prefix: "p/", After: "a", Limit: 1}, []string{"p/1"}},
			{Page{Reverse: true, Limit: 3}, []string{"\xff\xff1", "\xff", "q/1"}},
			{Page{Prefix: "\xff", Reverse: true, Limit: 9}, []string{"\xff\xff1", "\xff"}},
			{Page{Prefix: "none", Limit: 9}, nil},
		} {
			page, err := j.Columns(c.page)
			require.NoError(t, err)
			var got []string
			for _, column := range page {
				got = append(got, column.Key)
				if column.Key != "p/2" {
					require.Equal(t, "v"+column.Key, string(column.Value.Body))
				}
			}
			if c.page.Prefix == "" && !c.page.Reverse {
				slices.Sort(c.want)
			}
			require.Equal(t, c.want, got, "%+v", c.page)
		}
		_, err = j.Columns(Page{})
		require.Error(t, err)
		require.NoError(t, j.Close())
	})
}

func TestNumberedColumns(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		var want []string
		for i := range 300 { // past a byte: the order of keys is that of numbers
			a := &actor{addr: Address(fmt.Sprintf("account/%d", i%7))}
			lsn := submit(t, j, &Commit{Actor: a.addr, Columns: []Column{{Key: "n/", Value: recp("x"), Numbered: true}}})
			require.NoError(t, p.wait(lsn))
			want = append(want, NumberedKey("n/", lsn))
			got, ok := NumberOf("n/", want[i])
			require.True(t, ok)
			require.Equal(t, lsn, got)
		}
		j = im.reopen(t, j)
		page, err := j.Columns(Page{Prefix: "n/", Limit: 1000})
		require.NoError(t, err)
		var got []string
		for _, column := range page {
			got = append(got, column.Key)
		}
		require.Equal(t, want, got)
		require.NoError(t, j.Close())
	})
	for _, key := range []string{"", "n/", "m/12345678", "n/1234567", "n/123456789"} {
		_, ok := NumberOf("n/", key)
		require.False(t, ok, key)
	}
}

func TestLiveSet(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a, b := &actor{addr: "account/a"}, &actor{addr: "account/b"}
		wake := func(who *actor, addrs ...Address) *Commit {
			return who.step(func(_ *journal.Head, c *Commit) { c.Wake = addrs })
		}
		submit(t, j, wake(a, "account/c", "account/a", "account/b"))
		require.NoError(t, p.wait(submit(t, j, wake(b, "account/b"))))
		require.Equal(t, []Address{"account/a", "account/b", "account/c"}, live(t, j))
		require.NoError(t, p.wait(submit(t, j, b.step(func(_ *journal.Head, c *Commit) { c.Leave = true }))))
		j = im.reopen(t, j)
		require.Equal(t, []Address{"account/a", "account/c"}, live(t, j))

		var seen []Address
		require.NoError(t, j.Live(func(addr Address) bool {
			seen = append(seen, addr)
			_, err := j.Read(addr)
			return err != nil
		}))
		require.Equal(t, []Address{"account/a"}, seen, "f stops the walk, and may read")
		require.NoError(t, j.Close())
	})
}

func TestRefusedCommitsLeaveTheLogUsable(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a := &actor{addr: "account/a"}
		submit(t, j, a.events("1"))
		head := a.head
		long := strings.Repeat("x", 1<<20)
		refused := map[string]struct {
			commit *Commit
			want   error
		}{
			"large snapshot": {a.snapshot(strings.Repeat(long, 4)), ErrTooLarge},
			"many letters": {a.step(func(_ *journal.Head, c *Commit) {
				for range 60_000 {
					c.Send = append(c.Send, Letter{To: "account/b", Body: rec("x")})
				}
			}), ErrTooLarge},
			"no kind":        {&Commit{Actor: "account"}, ErrBadAddress},
			"no address":     {&Commit{}, ErrBadAddress},
			"space":          {&Commit{Actor: "account/a b"}, ErrBadAddress},
			"long address":   {&Commit{Actor: "account/" + Address(strings.Repeat("x", MaxAddress))}, ErrBadAddress},
			"bad receiver":   {&Commit{Actor: a.addr, Send: []Letter{{To: "b"}}}, ErrBadAddress},
			"bad wake":       {&Commit{Actor: a.addr, Wake: []Address{"b"}}, ErrBadAddress},
			"no column key":  {&Commit{Actor: a.addr, Columns: []Column{{}}}, ErrBadAddress},
			"number deleted": {&Commit{Actor: a.addr, Columns: []Column{{Key: "n", Numbered: true}}}, ErrBadAddress},
			"big column key": {&Commit{Actor: a.addr, Columns: []Column{{Key: long}}}, ErrBadAddress},
		}
		for name, r := range refused {
			_, err := j.Submit(r.commit)
			require.ErrorIs(t, err, r.want, name)
		}
		a.head = head
		require.NoError(t, p.wait(submit(t, j, a.events("2"))))
		require.Equal(t, LSN(2), j.Last())
		j = im.reopen(t, j)
		require.Equal(t, []string{"1", "2"}, bodies(read(t, j, a.addr).Events))
		require.NoError(t, j.Close())
	})
}

func TestCloseMakesEverythingDurable(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a := &actor{addr: "account/a"}
		var want []string
		for i := range 500 {
			want = append(want, fmt.Sprint(i))
			submit(t, j, a.events(want[i]))
		}
		require.NoError(t, j.Close())
		require.NoError(t, j.Close(), "closing twice is harmless")
		require.Equal(t, LSN(500), p.durable[len(p.durable)-1])
		_, err := j.Submit(a.events("late"))
		require.ErrorIs(t, err, ErrClosed)
		j = im.reopen(t, j)
		require.Equal(t, want, bodies(read(t, j, a.addr).Events))
		require.NoError(t, j.Close())
	})
}

// Values around the size at which they are stored in pieces, in every place where they can be.
func TestLargeValues(t *testing.T) {
	contract(t, func(t *testing.T, im implementation, j Journal, p *progress) {
		a := &actor{addr: "account/a"}
		sizes := []int{maxValue - 1, maxValue, maxValue + 1, 2 * maxValue, 3*maxValue + 7, 10, 4*maxValue - 1}
		for i, size := range sizes {
			body := strings.Repeat(string(rune('a'+i)), size)
			submit(t, j, a.events(body))
			sent := a.send(a.addr, body)
			submit(t, j, sent)
			require.NoError(t, p.wait(submit(t, j, a.column("large", recp(body)))))
			j = im.reopen(t, j)
			p = newProgress()
			j.Start(p)
			s := read(t, j, a.addr)
			require.Equal(t, []string{body}, bodies(s.Events))
			require.Equal(t, []string{body}, inbox(t, j, a.addr))
			value, err := j.Column("large")
			require.NoError(t, err)
			require.Equal(t, body, string(value.Body))
			submit(t, j, a.snapshot(body))
			require.NoError(t, p.wait(submit(t, j, a.consume(InboxID{LSN: sent.Send[0].ID.LSN + 1}, sent.Send[0].ID))))
			s = read(t, j, a.addr)
			require.Equal(t, body, string(s.Snapshot.Body))
			require.Empty(t, s.Events)
			require.Empty(t, s.Inbox)
		}
		require.NoError(t, j.Close())
	})
}

func TestErrorsAreDistinct(t *testing.T) {
	all := []error{ErrTooLarge, ErrClosed, ErrCorrupt, ErrNewerFormat, ErrInUse, ErrBehindHead, ErrDiskFull, ErrBadAddress}
	for i, a := range all {
		for k, b := range all {
			require.Equal(t, i == k, errors.Is(a, b))
		}
	}
}
