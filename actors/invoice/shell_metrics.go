package invoice

import (
	"github.com/prometheus/client_golang/prometheus"

	pb "stormcell/messages/invoice"
)

// counters count invoices that were settled.
type counters struct{ settled, received prometheus.Counter }

func newCounters() counters {
	return counters{
		settled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stormcell_invoices_settled_total", Help: "Invoices settled since the start.",
		}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stormcell_invoices_received_msat_total", Help: "What was paid for the invoices settled since the start, in millisatoshi.",
		}),
	}
}

// Collectors are what Prometheus may know of invoices.
func (s *Shell) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.settled, s.received}
}

func (s *Shell) count(i *pb.Invoice) {
	s.settled.Inc()
	s.received.Add(float64(i.GetPaidMsat()))
}
