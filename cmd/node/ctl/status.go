package ctl

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"stormcell/messages/debugrpc"
)

// Widths of what a status says in free text.
const (
	stateWidth   = 34
	reasonWidth  = 76
	unknownWidth = 68
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupDaemon,
		Short:   "What the daemon does: its actors, channels, payments, journal",
		Long: `Show what the daemon does. It is built of actors: each channel is one, and so is
each payment. Messages that wait for one are in its mailbox. One that fails is
restarted, and one that fails again and again on the same message halts.`,
		Example: `  stormcell status
  stormcell status --most=100
  stormcell status --json | jq '.kernel.kinds[] | select(.halted > 0)'`,
		Args: cobra.NoArgs,
	}
	most := cmd.Flags().Uint32("most", 10, "the `NUMBER` of lines that each list may have")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := debugrpc.NewDebugClient(c).Status(ctx, &debugrpc.StatusRequest{Most: *most})
		if err != nil {
			return err
		}
		return p.print(answer, func() { statusPage{p, answer, time.Now()}.print() })
	})
}

// statusPage shows a status to people.
type statusPage struct {
	printer
	*debugrpc.StatusResponse
	now time.Time
}

func (s statusPage) print() {
	s.summary()
	s.tree()
	s.actors()
	s.failed()
	s.peers()
	s.channels()
	s.payments()
	for _, what := range s.Unknown {
		s.line("\nnot known: %s", plain(what, unknownWidth))
	}
}

func (s statusPage) summary() {
	j := s.Journal
	synced := "not synced"
	if s.Chain.Synced {
		synced = "synced"
	}
	writes := fmt.Sprintf("%s commits, none waits for the disk", grouped(int64(j.Commits)))
	if j.Undurable > 0 {
		writes = fmt.Sprintf("%s commits, %s wait for the disk", grouped(int64(j.Commits)), grouped(int64(j.Undurable)))
	}
	if j.Syncs > 0 {
		writes += fmt.Sprintf("; synced %s ago in %s", s.since(j.LastSyncNs), brief(time.Duration(j.LastSyncTookNs)))
	}
	s.pairs(
		[2]string{"node", shortKey(s.Node) + " on " + s.Network},
		[2]string{"program", fmt.Sprintf("stormcell %s, running for %s", s.Version, s.since(s.Started*int64(time.Second)))},
		[2]string{"chain", fmt.Sprintf("block %s, %s, from %s", grouped(int64(s.Chain.Height)), synced, plain(s.Chain.Source, 40))},
		[2]string{"journal", writes},
		[2]string{"disk", fmt.Sprintf("%s used, %s free; with less than %s it stops", bytesOf(j.UsedBytes), bytesOf(j.FreeBytes),
			bytesOf(j.FloorBytes))},
	)
}

// tree shows the kinds of actors under the kernel.
func (s statusPage) tree() {
	k := s.Kernel
	var awake, halted, mailbox, most uint32
	var steps, failures uint64
	var rows [][]string
	row := func(name string, awake, halted uint32, failures uint64, mailbox, most uint32, steps uint64) {
		rows = append(rows, []string{
			name, grouped(int64(awake)), some(uint64(halted)), some(failures), some(uint64(mailbox)), some(uint64(most)), grouped(int64(steps)),
		})
	}
	for _, kind := range k.Kinds {
		awake, halted, mailbox, most = awake+kind.Awake, halted+kind.Halted, mailbox+kind.Mailbox, max(most, kind.MailboxMax)
		steps, failures = steps+kind.Steps, failures+kind.Failures
	}
	row("all", awake, halted, failures, mailbox, most, steps)
	for i, kind := range k.Kinds {
		branch := "├─ "
		if i == len(k.Kinds)-1 {
			branch = "└─ "
		}
		row(branch+kind.Name, kind.Awake, kind.Halted, kind.Failures, kind.Mailbox, kind.MailboxMax, kind.Steps)
	}
	s.line("")
	s.table([]column{
		{name: "ACTORS"}, {name: "AWAKE", right: true}, {name: "HALTED", right: true}, {name: "FAILURES", right: true},
		{name: "MAILBOX", right: true}, {name: "DEEPEST", right: true}, {name: "STEPS", right: true},
	}, rows)
	if k.Parked > 0 {
		s.line("%s actors are held back until the disk has caught up", grouped(int64(k.Parked)))
	}
}

// actors shows those that stand still or have mail.
func (s statusPage) actors() {
	var rows [][]string
	for _, a := range s.Kernel.Actors {
		state := a.State
		if a.Parked {
			state += ", held back"
		}
		rows = append(rows, []string{shortActor(a.Address), state, some(uint64(a.Mailbox)), some(uint64(a.Inbox)), some(uint64(a.Kept))})
	}
	if len(rows) == 0 {
		return
	}
	s.line("")
	s.table([]column{
		{name: "ACTOR"}, {name: "STATE"}, {name: "MAILBOX", right: true}, {name: "DURABLE", right: true}, {name: "KEPT", right: true},
	}, rows)
}

// failed shows what has been restarted or halted, how often, when and why.
func (s statusPage) failed() {
	failed := s.Kernel.Failed
	if len(failed) == 0 {
		return
	}
	s.line("\nFAILED SINCE THE START")
	for _, f := range failed {
		now := "restarted"
		switch f.State {
		case "": // it had nothing to do any more
		case "halted":
			now = "halted"
		case "failing", "resting":
			now = "restarts soon"
		}
		on := ""
		if f.About != "" {
			on = " on " + f.About
		}
		s.line("%s  %s; failed %s, last %s ago%s", shortActor(f.Address), now, times(f.Times), s.since(f.LastNs), on)
		s.line("    %s", plain(f.Reason, reasonWidth))
	}
	s.more(int(s.Kernel.FailedInAll), len(failed))
	for _, f := range failed {
		if f.State == "halted" {
			s.line("What has halted goes on after 'stormcell debug retry ACTOR', or 'drop'.")
			return
		}
	}
}

func (s statusPage) peers() {
	peers := s.Peers
	if peers == nil || peers.Connected+peers.Away == 0 {
		s.line("\nno peers")
		return
	}
	var rows [][]string
	for _, p := range peers.Peers {
		state := "away"
		if p.Connected {
			state = "connected for " + s.since(p.SinceNs)
		}
		rows = append(rows, []string{shortKey(p.Node), state, plain(p.Address, 40)})
	}
	s.line("")
	s.table([]column{{name: "PEER"}, {name: "STATE"}, {name: "AT"}}, rows)
	s.more(int(peers.Connected+peers.Away), len(rows))
}

func (s statusPage) channels() {
	channels := s.Channels
	if channels == nil || channels.All == 0 {
		s.line("\nno channels")
		return
	}
	var rows [][]string
	var long []*debugrpc.ChannelStatus
	for _, c := range channels.Channels {
		if utf8.RuneCountInString(c.State) > stateWidth {
			long = append(long, c)
		}
		rows = append(rows, []string{
			c.Address, shortKey(c.Peer), plain(c.State, stateWidth), some(uint64(c.Htlcs)), grouped(int64(c.LocalMsat / 1000)),
		})
	}
	s.line("")
	s.table([]column{
		{name: "CHANNEL"}, {name: "PEER"}, {name: "STATE"}, {name: "HTLCS", right: true}, {name: "OURS, SAT", right: true},
	}, rows)
	for _, c := range long {
		s.line("%s:\n    %s", c.Address, plain(c.State, reasonWidth))
	}
	s.more(int(channels.All), len(rows))
}

func (s statusPage) payments() {
	payments := s.Payments
	if payments == nil || payments.All == 0 {
		s.line("\nno payments under way")
		return
	}
	var rows [][]string
	for _, p := range payments.Payments {
		rows = append(rows, []string{
			shortKey(p.Hash), msat(int64(p.AmountMsat)), fmt.Sprintf("%d of %d", p.InFlight, p.Attempts), s.since(p.CreatedNs),
		})
	}
	s.line("")
	s.table([]column{
		{name: "PAYMENT"}, {name: "AMOUNT", right: true}, {name: "PARTS ON THEIR WAY", right: true}, {name: "FOR", right: true},
	}, rows)
	s.more(int(payments.All), len(rows))
}

// more says how many lines are left out.
func (s statusPage) more(all, shown int) {
	if all > shown {
		s.line("and %s more", grouped(int64(all-shown)))
	}
}

func (s statusPage) since(unixNano int64) string { return brief(s.now.Sub(time.Unix(0, unixNano))) }

// brief is a duration in its largest unit.
func brief(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// bytesOf is a size in its largest unit.
func bytesOf(n uint64) string {
	for _, unit := range []struct {
		size uint64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// some is a number, or a dash where there is nothing to look at.
func some(n uint64) string {
	if n == 0 {
		return "-"
	}
	return grouped(int64(n))
}

func times(n uint32) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	default:
		return fmt.Sprintf("%d times", n)
	}
}

// shortActor is an address with as much of a hash as tells actors apart.
func shortActor(address string) string {
	kind, id, _ := strings.Cut(address, "/")
	hash, rest, part := strings.Cut(id, "/")
	if len(hash) > 20 {
		hash = hash[:10]
	}
	if part {
		hash += "/" + rest
	}
	return kind + "/" + hash
}
