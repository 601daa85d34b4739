package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

// scrape reads what Prometheus would, and holds that it would find nothing to object to in what is ours.
func scrape(t *testing.T, at string) map[string]*dto.MetricFamily {
	t.Helper()
	status, text := get(t, "http://"+at+"/metrics")
	require.Equal(t, http.StatusOK, status, text)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	for name, f := range families {
		if strings.HasPrefix(name, "stormcell_") {
			require.NotEmpty(t, f.GetHelp(), name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	return families
}

// value is of the metric with these labels, name=value.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	require.Contains(t, families, name)
	for _, m := range families[name].Metric {
		has := map[string]bool{}
		for _, l := range m.Label {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, want := range labels {
			all = all && has[want]
		}
		if !all {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		default:
			return float64(m.Histogram.GetSampleCount())
		}
	}
	require.Fail(t, "no such metric", "%s %v", name, labels)
	return 0
}

// TestMetrics: what Prometheus is told, of a node without channels, and of one that is locked.
func TestMetrics(t *testing.T) {
	t.Parallel()
	h, bob := newHome(t), newHome(t)
	bob.create(t, bob.start(t))
	p := h.start(t, "--metricslisten=127.0.0.1:0")
	at := p.waitFor(t, "serving metrics")["address"].(string)
	locked := scrape(t, at)
	require.Contains(t, locked, "go_goroutines")
	require.NotContains(t, locked, "stormcell_channels", "nobody knows")
	h.create(t, p)
	h.ok(t, "", "connect", bob.info(t).Uris[0])
	require.NotZero(t, h.run(t, "", "decode", "lnbcrt1nothing").code)

	told := scrape(t, at)
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "stormcell_build_info", nil},
		{1, "stormcell_actors_awake", []string{"kind=peerbook"}},
		{0, "stormcell_actors_halted", []string{"kind=channel"}},
		{0, "stormcell_actor_failures_total", []string{"kind=channel"}},
		{0, "stormcell_mailbox_depth", []string{"kind=wallet"}},
		{0, "stormcell_mailbox_depth_max", []string{"kind=wallet"}},
		{1, "stormcell_peers", []string{"state=connected"}},
		{0, "stormcell_peers", []string{"state=away"}},
		{0, "stormcell_channels", []string{"state=active"}},
		{0, "stormcell_channel_balance_sat", []string{"side=local"}},
		{0, "stormcell_wallet_balance_sat", []string{"state=confirmed"}},
		{0, "stormcell_htlcs_in_flight", []string{"direction=incoming"}},
		{0, "stormcell_payments_total", []string{"result=succeeded"}},
		{0, "stormcell_payments_total", []string{"result=no_route"}},
		{0, "stormcell_invoices_settled_total", nil},
		{0, "stormcell_chain_height_blocks", nil},
		{0, "stormcell_chain_synced", nil},
		{1, "stormcell_grpc_calls_total", []string{"method=lnrpc.WalletUnlocker/InitWallet", "code=OK"}},
		{1, "stormcell_grpc_calls_total", []string{"method=lnrpc.Lightning/DecodePayReq", "code=InvalidArgument"}},
	} {
		require.Equal(t, c.want, value(t, told, c.name, c.labels...), "%s %v", c.name, c.labels)
	}
	for _, name := range []string{
		"stormcell_journal_commits_total", "stormcell_journal_sync_seconds", "stormcell_journal_written_bytes_total",
		"stormcell_journal_size_bytes", "stormcell_journal_disk_free_bytes", "stormcell_journal_disk_floor_bytes",
	} {
		require.Positive(t, value(t, told, name), name)
	}
}

// TestHealthz: what is missing is said; whether it can be lived with, the status says.
func TestHealthz(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t, "--metricslisten=127.0.0.1:0")
	says := func(p *process) string {
		status, text := get(t, "http://"+p.waitFor(t, "serving metrics")["address"].(string)+"/healthz")
		require.Equal(t, http.StatusOK, status)
		return text
	}
	require.Contains(t, says(p), "degraded\nthere is no wallet yet")
	h.create(t, p)
	require.Contains(t, says(p), "degraded\nthe chain is not synced: the best block that is known is 0\n")
	p.crash(t)
	p = h.start(t, "--metricslisten=127.0.0.1:0")
	require.Contains(t, says(p), "degraded\nthe wallet is locked")
}
