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

	"stormcell/cmd/node/version"
	"stormcell/persistence"
)

// metrics serves what Prometheus asks for, and how the daemon is.
type metrics struct {
	registry *prometheus.Registry
	server   *http.Server
	syncs    prometheus.Histogram
}

// newMetrics begins to measure. It is there before anything that it measures.
func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "stormcell_journal_sync_seconds", Help: "How long syncs to the disk took; each makes one commit durable or more.",
		Buckets: prometheus.ExponentialBuckets(0.00025, 2, 15), // to 4 s
	})}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stormcell_build_info", Help: "1, with the version of the program.",
		ConstLabels: prometheus.Labels{"version": version.Number, "commit": version.Commit()},
	})
	build.Set(1)
	m.add(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build, m.syncs)
	return m
}

// synced notes how long a sync took.
func (m *metrics) synced(took time.Duration) { m.syncs.Observe(took.Seconds()) }

// serve listens on an address, unless it is empty. failed hears when it cannot go on.
func (m *metrics) serve(address string, health http.Handler, log *slog.Logger, failed func(error)) error {
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for Prometheus: %w", err)
	}
	log.Info("serving metrics", "address", listener.Addr().String())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}))
	mux.Handle("GET /healthz", health)
	m.server = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		if err := m.server.Serve(listener); err != http.ErrServerClosed {
			failed(fmt.Errorf("the metrics have failed: %w", err))
		}
	}()
	return nil
}

// add lets more be collected.
func (m *metrics) add(all ...prometheus.Collector) { m.registry.MustRegister(all...) }

func (m *metrics) close() {
	if m.server != nil {
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
		counter("written_bytes_total", "Bytes of keys and values written.", func(s persistence.Stats) float64 { return float64(s.Bytes) }),
		journalSpace{j},
	}
}

// journalSpace is the room that the journal takes, and has.
type journalSpace struct{ journal *persistence.Badger }

var (
	usedDesc  = desc("journal_size_bytes", "What the journal takes on its disk.")
	freeDesc  = desc("journal_disk_free_bytes", "What is left on the journal's disk.")
	floorDesc = desc("journal_disk_floor_bytes", "With less left on the journal's disk the daemon stops.")
)

// Describe implements prometheus.Collector.
func (journalSpace) Describe(out chan<- *prometheus.Desc) {
	out <- usedDesc
	out <- freeDesc
	out <- floorDesc
}

// Collect implements prometheus.Collector.
func (s journalSpace) Collect(out chan<- prometheus.Metric) {
	space, err := s.journal.Space()
	if err != nil {
		out <- prometheus.NewInvalidMetric(usedDesc, err)
		return
	}
	for d, value := range map[*prometheus.Desc]uint64{usedDesc: space.Used, freeDesc: space.Free, floorDesc: space.Floor} {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value))
	}
}
