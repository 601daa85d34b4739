package payment

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	pb "stormcell/messages/payment"
)

// TestResults: each try counts once, when it ends, and what comes after that does not count again.
func TestResults(t *testing.T) {
	t.Parallel()
	s := NewShell(Config{})
	failed := &pb.Payment{Failure: pb.FailureReason_NO_ROUTE}
	for _, e := range []Changed{
		{Payment: &pb.Payment{}},
		{Payment: &pb.Payment{Preimage: make([]byte, 32)}, Ended: true},
		{Payment: &pb.Payment{Preimage: make([]byte, 32), Deleted: true}},
		{Payment: failed, Ended: true}, {Payment: failed, Ended: true},
	} {
		s.Release("payment/a", 1, e)
	}
	require.EqualValues(t, 1, testutil.ToFloat64(s.results.WithLabelValues("succeeded")))
	require.EqualValues(t, 2, testutil.ToFloat64(s.results.WithLabelValues("no_route")))
	require.Zero(t, testutil.ToFloat64(s.results.WithLabelValues("timeout")))
	require.Equal(t, len(pb.FailureReason_name), testutil.CollectAndCount(s.results), "all are there from the start")
}
