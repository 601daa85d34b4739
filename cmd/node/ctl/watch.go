package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

// watch shows a payment's parts as they change, and how it ends.
type watch struct {
	p     printer
	abort bool // who leaves the payment aborts it

	number uint64                                  // of the payment; zero until it has begun
	shown  map[uint64]lnrpc.HTLCAttempt_HTLCStatus // by attempt
}

// say tells people what happens.
func (w *watch) say(format string, args ...any) {
	if !w.p.json {
		w.p.line(format, args...)
	}
}

// toTheEnd shows a payment from what a stream tells of it. A payment that fails is an error.
func (w *watch) toTheEnd(ctx context.Context, recv func() (*lnrpc.Payment, error)) error {
	for {
		payment, err := recv()
		if err != nil {
			return w.explain(ctx, err)
		}
		w.number = payment.PaymentIndex
		for i, attempt := range payment.Htlcs {
			w.part(i+1, attempt)
		}
		if payment.Status == lnrpc.Payment_SUCCEEDED || payment.Status == lnrpc.Payment_FAILED {
			return w.end(payment)
		}
	}
}

// part shows a part whose state is news.
func (w *watch) part(number int, a *lnrpc.HTLCAttempt) {
	if state, shown := w.shown[a.AttemptId]; shown && state == a.Status {
		return
	}
	if w.shown == nil {
		w.shown = map[uint64]lnrpc.HTLCAttempt_HTLCStatus{}
	}
	w.shown[a.AttemptId] = a.Status
	w.say("%s", describePart(number, a))
}

// describePart is a part in a line; why it failed needs a second one.
func describePart(number int, a *lnrpc.HTLCAttempt) string {
	channel := ""
	if hops := a.GetRoute().GetHops(); len(hops) > 0 {
		channel = shortID(hops[0].ChanId)
	}
	amount := msat(a.GetRoute().GetTotalAmtMsat() - a.GetRoute().GetTotalFeesMsat())
	text := fmt.Sprintf("part %-2d  %13s  over %-8s  ", number, amount, channel)
	after := lasted(a.ResolveTimeNs - a.AttemptTimeNs)
	switch a.Status {
	case lnrpc.HTLCAttempt_SUCCEEDED:
		return text + "arrived after " + after
	case lnrpc.HTLCAttempt_FAILED:
		why := strings.ToLower(strings.ReplaceAll(a.GetFailure().GetCode().String(), "_", " "))
		return text + "failed after " + after + "\n         " + why
	}
	return text + "on its way"
}

// lasted shows a duration as people want to read it.
func lasted(ns int64) string {
	d := time.Duration(ns)
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func (w *watch) end(payment *lnrpc.Payment) error {
	if payment.Status == lnrpc.Payment_FAILED {
		if w.p.json {
			if err := w.p.print(payment, nil); err != nil {
				return err
			}
		}
		return paymentFailed(payment)
	}
	return w.p.print(payment, func() {
		parts, last := 0, int64(0)
		for _, a := range payment.Htlcs {
			if a.Status == lnrpc.HTLCAttempt_SUCCEEDED {
				parts, last = parts+1, max(last, a.ResolveTimeNs)
			}
		}
		w.p.line("paid %s in %s, fee %s, after %s", msat(payment.ValueMsat), counted(parts, "part"), msat(payment.FeeMsat),
			lasted(last-payment.CreationTimeNs))
		w.p.line("preimage %s", payment.PaymentPreimage)
	})
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// failureReasons say why a payment failed, and what to do.
var failureReasons = map[lnrpc.PaymentFailureReason][2]string{
	lnrpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT: {"not in time", "A longer --timeout may help."},
	lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE: {
		"there is no way to the payee",
		"It must be a peer, with an open channel that takes it: see 'stormcell channels', and in 'stormcell track' what failed.",
	},
	lnrpc.PaymentFailureReason_FAILURE_REASON_ERROR: {"a part could not be sent", "The log says more."},
	lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: {
		"the payee refuses it", "It does not know the payment, or not any more, or wants another amount.",
	},
	lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE: {
		"the channels cannot carry that much", "See what is ours in 'stormcell channels'.",
	},
	lnrpc.PaymentFailureReason_FAILURE_REASON_CANCELED: {"it was aborted", ""},
}

func paymentFailed(payment *lnrpc.Payment) error {
	reason, known := failureReasons[payment.FailureReason]
	if !known {
		reason[0] = payment.FailureReason.String()
	}
	return fault.New(fault.Failed, fmt.Errorf("the payment failed: %s", reason[0]), "%s", reason[1])
}

// explain says what becomes of a payment that cannot be watched any more.
func (w *watch) explain(ctx context.Context, err error) error {
	began, look := w.number != 0, "'stormcell payments' shows what becomes of it."
	if began {
		look = fmt.Sprintf("'stormcell track %d' shows what becomes of it.", w.number)
	}
	switch {
	case ctx.Err() != nil && w.abort:
		return fault.New(fault.Failed, errors.New("interrupted: no new parts begin, those on their way may still arrive"),
			"%s", look)
	case ctx.Err() != nil && began:
		return fault.New(fault.Failed, errors.New("interrupted: the payment goes on all the same"), "%s", look)
	case ctx.Err() != nil:
		return fault.New(fault.Failed, errors.New("interrupted: the payment may have begun, and then goes on"), "%s", look)
	case began && status.Code(err) == codes.Unavailable:
		return fault.New(fault.Unreachable, errors.New("the daemon is gone: it goes on with the payment when it runs again"),
			"%s", look)
	}
	return err
}
