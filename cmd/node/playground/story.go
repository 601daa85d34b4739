package playground

import (
	"context"
	"errors"
)

const (
	// price is what Alice pays Bob, and refund what she gets back: each is more than one of their channels can carry.
	price  = "1200000sat"
	refund = "1000000sat"
)

// storyWasTold tells whether somebody was paid already.
func (p *playground) storyWasTold(ctx context.Context) (bool, error) {
	var answer struct{ Payments []struct{ Status string } }
	err := p.ask(ctx, p.alice, &answer, "payments")
	return len(answer.Payments) > 0, err
}

// tellStory shows two payments: one in several parts, and one whose payer is killed.
func (p *playground) tellStory(ctx context.Context) error {
	if err := p.enter(ctx, p.alice, "channels"); err != nil {
		return err
	}
	if err := p.payInParts(ctx); err != nil {
		return err
	}
	if err := p.payAndDie(ctx); err != nil {
		return err
	}
	return p.enter(ctx, p.alice, "channels")
}

// made is what 'invoice --json' says.
type made struct {
	Request  string `json:"payment_request"`
	Hash     string `json:"r_hash"`
	Preimage string `json:"r_preimage"`
}

// payInParts has Alice pay Bob more than one channel can carry.
func (p *playground) payInParts(ctx context.Context) error {
	p.say("\nBob sells tea. No channel with him can carry the price alone, both together can:")
	var invoice made
	if err := p.make(ctx, p.bob, &invoice, price, "--memo=tea"); err != nil {
		return err
	}
	return p.enter(ctx, p.alice, "pay", "--max-part=400000sat", invoice.Request)
}

// payAndDie has Bob pay Alice, and kills him while his money is on its way. Alice takes it while he is dead; when he is back
// he learns that he has paid, and what for.
func (p *playground) payAndDie(ctx context.Context) error {
	p.say("\nBob pays some of it back, but Alice lets the money wait before she takes it:")
	var invoice made
	if err := p.make(ctx, p.alice, &invoice, refund, "--memo=refund", "--hold"); err != nil {
		return err
	}
	left := make(chan error, 1)
	go func() { left <- p.enter(ctx, p.bob, "pay", invoice.Request) }()
	waits := func() bool {
		var state struct{ State string }
		return p.ask(ctx, p.alice, &state, "invoices", invoice.Hash) == nil && state.State == "ACCEPTED"
	}
	if err := p.until(ctx, &p.bob.process, waits); err != nil {
		return err
	}
	p.say("\nIn the middle of it Bob's process is killed with kill -9.")
	if err := p.bob.kill(); err != nil {
		return err
	}
	if err := <-left; err == nil {
		return errors.New("the payment ended before its payer was killed")
	}
	p.say("Alice takes the money while he is dead:")
	if err := p.enter(ctx, p.alice, "settle", invoice.Preimage); err != nil {
		return err
	}
	p.say("\nBob comes back, and goes on where he was:")
	if err := p.start(ctx, p.bob); err != nil {
		return err
	}
	if err := p.enter(ctx, p.bob, "track", invoice.Hash); err != nil {
		return err
	}
	p.say("\nHe has paid once, and has the preimage that proves it. Alice has the money:")
	return p.enter(ctx, p.alice, "invoices")
}

// make has a node make an invoice.
func (p *playground) make(ctx context.Context, d *daemon, invoice *made, amount string, flags ...string) error {
	args := append([]string{"invoice", amount}, flags...)
	if err := p.ask(ctx, d, invoice, args...); err != nil {
		return err
	}
	p.say("%s\n  %s", typed(d, args), cutShort(invoice.Request))
	return nil
}
