package payment

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	pb "stormcell/messages/payment"
)

// newResults counts payments that have ended, by how.
func newResults() *prometheus.CounterVec {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stormcell_payments_total",
		Help: "Tries of payments that ended since the start, by result: succeeded, or why they failed.",
	}, []string{"result"})
	for reason := range pb.FailureReason_name {
		results.WithLabelValues(resultOf(pb.FailureReason(reason))) // so that each is there from the start
	}
	return results
}

// Collectors are what Prometheus may know of payments.
func (s *Shell) Collectors() []prometheus.Collector { return []prometheus.Collector{s.results} }

func (s *Shell) count(p *pb.Payment) {
	reason := p.GetFailure()
	if StatusOf(p) == pb.Status_SUCCEEDED {
		reason = pb.FailureReason_NONE
	}
	s.results.WithLabelValues(resultOf(reason)).Inc()
}

func resultOf(reason pb.FailureReason) string {
	if reason == pb.FailureReason_NONE {
		return "succeeded"
	}
	return strings.ToLower(reason.String())
}
