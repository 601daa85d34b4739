package payment

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/stretchr/testify/require"

	"stormcell/actors/router"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
)

func TestPaymentKeepsEveryAttempt(t *testing.T) {
	s := newScript(t)
	want := pay(1_000)
	want.Found = &Found{Routes: over(600, 400)}
	s.does(want)
	require.Len(t, s.launched(), 2, "routes found ahead are used in the commit that begins the payment")
	require.Zero(t, s.asked)
	require.NotEmpty(t, s.reply)

	first := s.p().GetAttempts()[0]
	require.Equal(t, uint64(7<<16|1), first.GetId())
	require.Equal(t, began.UnixNano(), first.GetLaunchedNs())
	require.Len(t, first.GetSessionKey(), 32)
	require.NotEqual(t, first.GetSessionKey(), s.p().GetAttempts()[1].GetSessionKey())

	why := says(1, 0x1007)
	s.does(failedShard(1, why))
	s.does(Found{Round: s.asked, Routes: over(600)})
	s.does(settledShard(2))
	require.Equal(t, pb.Status_IN_FLIGHT, StatusOf(s.p()), "the third shard is live")
	s.does(settledShard(3))
	require.Equal(t, pb.Status_SUCCEEDED, StatusOf(s.p()))
	require.Equal(t, 1, s.recorded())
	require.Equal(t, 1, s.ended)

	s.restart()
	require.Len(t, s.p().GetAttempts(), 3)
	first = s.p().GetAttempts()[0]
	require.Equal(t, why.GetReason(), first.GetFailure().GetReason())
	require.Equal(t, uint32(1), first.GetFailure().GetHop())
	require.Equal(t, began.UnixNano()+1, first.GetFailedNs())
	require.NotZero(t, s.p().GetAttempts()[2].GetSettledNs())
	require.Equal(t, preimage[:], s.p().GetPreimage())
}

func TestTimesAndHistoryOfATryAgain(t *testing.T) {
	s := newScript(t)
	want := pay(1_000)
	want.Found = &Found{Err: router.ErrNoRoute}
	s.does(want)
	require.Equal(t, pb.Status_FAILED, StatusOf(s.p()))
	require.Equal(t, pb.FailureReason_NO_ROUTE, s.p().GetFailure())
	want.Found = &Found{Routes: over(1_000)}
	s.does(want)
	s.does(failedShard(1, says(1, 0x400f)))
	require.Equal(t, pb.FailureReason_INCORRECT_PAYMENT_DETAILS, s.p().GetFailure())
	require.Equal(t, 2, s.ended, "each try")

	s.env.now = s.env.now.Add(time.Hour)
	want.Number = 8
	s.does(want)
	require.Equal(t, pb.Status_IN_FLIGHT, StatusOf(s.p()))
	require.Equal(t, uint64(7), s.p().GetNumber(), "it keeps its place in the list")
	require.Len(t, s.p().GetAttempts(), 2)
	require.Equal(t, uint32(2), s.p().GetFirst())
	require.Empty(t, Query(s.p(), 1, 0, 1).Learned, "what failed an hour ago may work now")
}

// TestIDsOfAttemptsStayApart: a payment that was tried again and again does not use the ids of other attempts.
func TestIDsOfAttemptsStayApart(t *testing.T) {
	s := newScript(t)
	s.does(pay(1_000))
	s.does(Found{Round: s.asked, Err: router.ErrNoRoute})
	want := pay(1_000)
	want.Request.MaxParts = mostParts
	s.state.stored.Launched = maxLaunched - mostInTry + 1
	s.does(want)
	require.ErrorIs(t, s.refused, ErrTooManyAttempts)
	s.state.stored.Launched--
	s.does(want)
	require.NoError(t, s.refused)
	for range maxAttempts - 1 {
		s.does(Found{Round: s.asked, Routes: over(1_000)})
		s.does(failedShard(s.p().GetLaunched(), says(1, 0x1007)))
	}
	s.does(Found{Round: s.asked, Routes: over(slices.Repeat([]uint64{1}, mostParts)...)})
	require.Equal(t, uint32(maxLaunched), s.p().GetLaunched(), "more than that are not launched in one try")
	for _, a := range s.p().GetAttempts() {
		require.Equal(t, s.p().GetNumber()<<16+uint64(a.GetN()), a.GetId())
	}
}

// TestWaitsAfterARestart: what is left to launch waits until the chain is known and peers had their chance to be back.
func TestWaitsAfterARestart(t *testing.T) {
	for name, test := range map[string]struct {
		why    error
		after  time.Duration // of the restart
		status pb.Status
		reason pb.FailureReason
	}{
		"no chain":                 {ErrNoChain, 0, pb.Status_IN_FLIGHT, pb.FailureReason_NONE},
		"no chain for long":        {ErrNoChain, DefaultTimeout - 1, pb.Status_IN_FLIGHT, pb.FailureReason_NONE},
		"no chain until the end":   {ErrNoChain, DefaultTimeout, pb.Status_FAILED, pb.FailureReason_TIMEOUT},
		"no route":                 {router.ErrNoRoute, 0, pb.Status_IN_FLIGHT, pb.FailureReason_NONE},
		"no balance":               {router.ErrInsufficientBalance, 0, pb.Status_IN_FLIGHT, pb.FailureReason_NONE},
		"no route, peers had time": {router.ErrNoRoute, returnPatience, pb.Status_FAILED, pb.FailureReason_NO_ROUTE},
		"no balance, peers had time": {
			router.ErrInsufficientBalance, returnPatience, pb.Status_FAILED, pb.FailureReason_INSUFFICIENT_BALANCE,
		},
		"broken": {errors.New("broken"), 0, pb.Status_FAILED, pb.FailureReason_ERROR},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.does(pay(1_000)) // which asks for routes, and then the node ends
			s.restart()
			require.NotZero(t, s.asked)
			s.env.now = s.env.now.Add(test.after)
			asks := s.asks
			s.does(Found{Round: s.asked, Err: test.why})
			require.Equal(t, test.status, StatusOf(s.p()))
			require.Equal(t, test.reason, s.p().GetFailure())
			require.Equal(t, asks, s.asks, "not at once again")
			if test.status != pb.Status_IN_FLIGHT {
				return
			}
			s.does(s.timers[laterTimer])
			require.Equal(t, asks+1, s.asks)
			s.does(Found{Round: s.asked, Routes: over(1_000)})
			require.Len(t, s.launched(), 1)
		})
	}
}

func TestDeletedPaymentIsNeverPaidAgain(t *testing.T) {
	s := newScript(t)
	want := pay(1_000)
	want.Found = &Found{Routes: over(1_000)}
	s.does(want)
	require.Len(t, s.columns, 2)
	s.does(settledShard(1))
	s.does(Delete{})
	require.NoError(t, s.refused)
	require.Len(t, s.columns, 1, "its number is not given out again")
	s.does(View{})
	require.ErrorIs(t, s.refused, ErrNotFound)
	s.does(want)
	require.ErrorIs(t, s.refused, ErrPaid)
}

// TestDeletesWhatFailedAlone: a payment that failed when it was looked up may have been paid by the time it is to be deleted.
func TestDeletesWhatFailedAlone(t *testing.T) {
	s := newScript(t)
	want := pay(1_000)
	want.Found = &Found{Err: router.ErrNoRoute}
	s.does(want)
	want.Found = &Found{Routes: over(1_000)}
	s.does(want)
	s.does(settledShard(1))
	s.does(Delete{FailedOnly: true})
	require.ErrorIs(t, s.refused, ErrPaid)
	require.False(t, s.p().GetDeleted())
}

// TestLateSettleOfADeletedPayment: it counts, and brings nothing back into the list.
func TestLateSettleOfADeletedPayment(t *testing.T) {
	s := newScript(t)
	want := pay(1_000)
	want.Found = &Found{Routes: over(1_000)}
	s.does(want)
	s.does(failedShard(1, says(1, 0x400f)))
	s.does(Delete{})
	require.NoError(t, s.refused)
	left := maps.Clone(s.columns)
	s.does(settledShard(1))
	require.Equal(t, left, s.columns)
	s.does(want)
	require.ErrorIs(t, s.refused, ErrPaid)
}

func TestBadRequests(t *testing.T) {
	for name, spoil := range map[string]func(*Pay){
		"no payee":           func(p *Pay) { p.Request.Payee.Node = nil },
		"uncompressed payee": func(p *Pay) { p.Request.Payee.Node = keyOf(1).PubKey().SerializeUncompressed() },
		"nothing":            func(p *Pay) { p.Request.AmountMsat = 0 },
		"more than there is": func(p *Pay) { p.Request.AmountMsat = btcutil.MaxSatoshi*1000 + 1 },
		"no parts":           func(p *Pay) { p.Request.MaxParts = 0 },
		"too many parts":     func(p *Pay) { p.Request.MaxParts = mostParts + 1 },
		"parts, no secret":   func(p *Pay) { p.Request.Payee.Secret = nil },
		"short secret":       func(p *Pay) { p.Request.Payee.Secret = []byte{1} },
		"no time":            func(p *Pay) { p.Request.TimeoutNs = 0 },
		"no number":          func(p *Pay) { p.Number = 0 },
		"records that fill two onions": func(p *Pay) {
			for n := range uint64(2) {
				p.Request.Payee.Records = append(p.Request.Payee.Records, &pb.Record{Type: 70_000 + n, Value: make([]byte, roomForPayee)})
			}
		},
		"any number of empty records": func(p *Pay) {
			for n := range uint64(roomForPayee) {
				p.Request.Payee.Records = append(p.Request.Payee.Records, &pb.Record{Type: 70_000 + n})
			}
		},
		"metadata and a record": func(p *Pay) {
			p.Request.Payee.Metadata = make([]byte, 639)
			p.Request.Payee.Records = []*pb.Record{{Type: 70_000, Value: make([]byte, roomForPayee-638)}}
		},
		"long record": func(p *Pay) {
			p.Request.Payee.Records = []*pb.Record{{Type: 70_000, Value: make([]byte, roomForPayee+1)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			want := pay(1_000)
			spoil(&want)
			s.does(want)
			require.ErrorIs(t, s.refused, ErrBadRequest)
			require.Nil(t, s.stored)
		})
	}
}

func TestVerdictsAndLessons(t *testing.T) {
	const amount = 600
	for name, test := range map[string]struct {
		why     *pb.Failure
		hops    int
		verdict pb.FailureReason
		below   uint64
		learned bool
	}{
		"unknown payment":             {says(1, 0x400f), 1, pb.FailureReason_INCORRECT_PAYMENT_DETAILS, 0, true},
		"payee cannot read payload":   {says(1, 0x4016), 1, pb.FailureReason_ERROR, 0, true},
		"amount is not the onion's":   {says(1, 19), 1, pb.FailureReason_ERROR, 0, true},
		"somebody took of the amount": {says(2, 19), 2, pb.FailureReason_NONE, 0, true},
		"mpp timeout":                 {says(1, 23), 1, pb.FailureReason_NONE, 0, false},
		"payee is busy":               {says(1, 0x2002), 1, pb.FailureReason_NONE, 0, true},
		"details, says another":       {says(1, 0x400f), 2, pb.FailureReason_NONE, 0, true},
		"unreadable":                  {&pb.Failure{Unreadable: true}, 1, pb.FailureReason_NONE, 0, true},
		"malformed": {&pb.Failure{Hop: 1, Cause: &pb.Failure_Malformed{Malformed: &channelpb.Malformed{Code: 0xc005}}},
			1, pb.FailureReason_NONE, 0, true},
		"too little balance": {refusal(channelpb.RefusalCode_INSUFFICIENT_FUNDS, ""), 1, pb.FailureReason_NONE, amount, true},
		"channel is full":    {refusal(channelpb.RefusalCode_TOO_MANY_HTLCS, ""), 1, pb.FailureReason_NONE, 0, false},
		"peer away":          {refusal(channelpb.RefusalCode_PEER_OFFLINE, ""), 1, pb.FailureReason_NONE, 0, true},
		"our mistake":        {refusal(channelpb.RefusalCode_BAD_REQUEST, ""), 1, pb.FailureReason_ERROR, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &pb.Attempt{Failure: test.why, Route: over(amount)[0]}
			for len(a.GetRoute().GetHops()) < test.hops {
				a.Route.Hops = append(a.Route.Hops, a.GetRoute().GetHops()[0])
			}
			require.Equal(t, test.verdict, verdict(a))
			bound, learned := lesson(a)
			require.Equal(t, test.learned, learned)
			require.Equal(t, test.below, uint64(bound.Below))
		})
	}
}
