package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stormcell/persistence"
)

// metrics serves what Prometheus asks for.
type metrics struct {
	registry *prometheus.Registry
	server   *http.Server
	listener net.Listener // nil if nobody asks
}

// serveMetrics listens on an address, unless it is empty. failed hears when it cannot go on.
func serveMetrics(
	address string, journal *persistence.Badger, log *slog.Logger, failed func(error),
) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.add(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.add(journalMetrics(journal)...)
	if address == "" {
		return m, nil
	}
	var err error
	if m.listener, err = net.Listen("tcp", address); err != nil {
		return nil, fmt.Errorf("listen for Prometheus: %w", err)
	}
	log.Info("serving metrics", "address", m.listener.Addr().String())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	m.server = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		if err := m.server.Serve(m.listener); err != http.ErrServerClosed {
			failed(fmt.Errorf("the metrics have failed: %w", err))
		}
	}()
	return m, nil
}

// add lets more be collected.
func (m *metrics) add(all ...prometheus.Collector) { m.registry.MustRegister(all...) }

func (m *metrics) close() {
	if m != nil && m.server != nil {
		_ = m.server.Close()
	}
}

// journalMetrics are the journal's own figures.
func journalMetrics(j *persistence.Badger) []prometheus.Collector {
	counter := func(name, help string, value func(persistence.Stats) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "stormcell_journal_" + name, Help: help},
			func() float64 { return value(j.Stats()) })
	}
	return []prometheus.Collector{
		counter("commits_total", "Commits written.", func(s persistence.Stats) float64 { return float64(s.Commits) }),
		counter("batches_total", "Transactions written: each holds one commit or more.",
			func(s persistence.Stats) float64 { return float64(s.Batches) }),
		counter("syncs_total", "Syncs to the disk.", func(s persistence.Stats) float64 { return float64(s.Syncs) }),
		counter("bytes_total", "Bytes of keys and values written.", func(s persistence.Stats) float64 { return float64(s.Bytes) }),
		counter("sync_seconds_total", "Time that all syncs took.",
			func(s persistence.Stats) float64 { return s.SyncTime.Seconds() }),
	}
}
