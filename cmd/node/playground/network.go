package playground

import (
	"context"
	"fmt"
)

// parallel are the sizes of Alice's channels with Bob, and single that of the one with Carol.
var (
	parallel = []string{"1000000sat", "700000sat"}
	single   = []string{"500000sat"}
)

// startNodes starts the three daemons.
func (p *playground) startNodes(ctx context.Context) error {
	nodes := []*daemon{p.alice, p.bob, p.carol}
	for _, d := range nodes {
		if err := p.boot(d); err != nil {
			return err
		}
	}
	for _, d := range nodes {
		if err := p.open(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// connect has Alice connected with the others, now and after restarts.
func (p *playground) connect(ctx context.Context) error {
	if p.alice.isNew {
		p.say("\nAlice connects to Bob and Carol, and stays connected:")
	}
	for _, d := range []*daemon{p.bob, p.carol} {
		if err := p.connectTo(ctx, d); err != nil {
			return err
		}
	}
	return p.until(ctx, &p.alice.process, func() bool {
		var answer struct{ Peers []struct{} }
		return p.ask(ctx, p.alice, &answer, "peers") == nil && len(answer.Peers) >= 2
	})
}

// connectTo tells Alice where a node is. She knows already when she is not new, unless its port was taken in the meantime.
func (p *playground) connectTo(ctx context.Context, d *daemon) error {
	if p.alice.isNew {
		return p.enter(ctx, p.alice, "connect", "--perm", d.uri)
	}
	var answer struct{}
	return p.ask(ctx, p.alice, &answer, "connect", "--perm", d.uri)
}

// channel is one of Alice's, as her API describes it.
type channel struct {
	Active bool
	Peer   string `json:"remote_pubkey"`
}

func (p *playground) channels(ctx context.Context) ([]channel, error) {
	var answer struct{ Channels []channel }
	err := p.ask(ctx, p.alice, &answer, "channels")
	return answer.Channels, err
}

// openChannels opens the channels that are missing.
func (p *playground) openChannels(ctx context.Context) error {
	there, err := p.channels(ctx)
	if err != nil {
		return err
	}
	with := map[string]int{}
	for _, c := range there {
		with[c.Peer]++
	}
	missing := func(d *daemon, sizes []string) error {
		for _, size := range sizes[min(len(sizes), with[d.key]):] {
			if err := p.enter(ctx, p.alice, "openchannel", d.key, size); err != nil {
				return err
			}
		}
		return nil
	}
	if with[p.bob.key] < len(parallel) || with[p.carol.key] < len(single) {
		p.say("\nShe opens channels: two with Bob, side by side, and one with Carol.")
	}
	if err := missing(p.bob, parallel); err != nil {
		return err
	}
	return missing(p.carol, single)
}

// awaitChannels waits until payments can begin.
func (p *playground) awaitChannels(ctx context.Context) error {
	var err error
	waited := p.until(ctx, &p.alice.process, func() bool {
		var all []channel
		if all, err = p.channels(ctx); err != nil {
			return true
		}
		for _, c := range all {
			if !c.Active {
				return false
			}
		}
		return true
	})
	if waited != nil {
		return fmt.Errorf("wait for the channels: %w", waited)
	}
	return err
}
