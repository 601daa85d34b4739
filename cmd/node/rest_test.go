package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/macaroon.v2"
)

// restClient asks a daemon as a program in any language would.
type restClient struct {
	http     *http.Client
	base     string
	macaroon string // in hexadecimal digits; empty for none
}

func (h *home) rest(t *testing.T, p *process) *restClient {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(h.dir, "tls.cert"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	at := p.waitFor(t, "waiting for the wallet to be unlocked")["rest"].(string)
	return &restClient{
		http: &http.Client{Transport: transport}, base: "https://" + at, macaroon: hex.EncodeToString(h.macaroon(t)),
	}
}

func (c *restClient) do(t *testing.T, method, path string, body io.Reader, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, c.base+path, body)
	require.NoError(t, err)
	if c.macaroon != "" {
		request.Header.Set("Grpc-Metadata-macaroon", c.macaroon)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(request)
	require.NoError(t, err)
	return answer
}

// call gives the status and the answer, as it is when nothing is known of its form.
func (c *restClient) call(t *testing.T, method, path, body string, headers ...string) (int, map[string]any) {
	t.Helper()
	answer := c.do(t, method, path, strings.NewReader(body), headers...)
	defer answer.Body.Close()
	var decoded map[string]any
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&decoded))
	return answer.StatusCode, decoded
}

func TestREST(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	client := h.rest(t, p)

	code, answer := client.call(t, "GET", "/v1/state", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, map[string]any{"state": "NON_EXISTING"}, answer)
	code, answer = client.call(t, "GET", "/v1/getinfo", "")
	require.Equal(t, http.StatusInternalServerError, code) // lnd's, for the code Unknown
	require.Contains(t, answer["message"], "wallet not created")

	h.create(t, p)
	code, answer = client.call(t, "GET", "/v1/getinfo", "")
	require.Equal(t, http.StatusOK, code)
	require.Len(t, answer["identity_pubkey"], 66)
	require.EqualValues(t, 0, answer["num_peers"], "what is zero is there, and 32 bits are a number")

	// Bytes are in base64, 64 bits are strings, and requests are read in the same form.
	code, added := client.call(t, "POST", "/v1/invoices", `{"memo": "tea", "value_msat": "123456"}`)
	require.Equal(t, http.StatusOK, code, added)
	require.IsType(t, "", added["add_index"])
	require.Len(t, added["r_hash"], 44)
	code, decoded := client.call(t, "GET", "/v1/payreq/"+added["payment_request"].(string), "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "123456", decoded["num_msat"])
	code, looked := client.call(t, "GET", "/v1/invoice/"+decoded["payment_hash"].(string), "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "tea", looked["memo"])
	require.Equal(t, "OPEN", looked["state"])

	for name, c := range map[string]struct {
		method, path, body string
		code               int
		says               string
	}{
		"unknown field":     {"POST", "/v1/invoices", `{"colour": "blue"}`, 400, "unknown field"},
		"no JSON":           {"POST", "/v1/invoices", `memo=tea`, 400, "invalid character"},
		"wrong type":        {"POST", "/v1/invoices", `{"value": "much"}`, 400, "invalid value"},
		"cut":               {"POST", "/v1/invoices", `{"value": `, 400, "unexpected"},
		"refused":           {"GET", "/v1/invoice/00", "", 400, "32 bytes"},
		"not found":         {"GET", "/v1/invoice/" + strings.Repeat("00", 32), "", 404, "unable to locate invoice"},
		"unknown path":      {"GET", "/v1/moon", "", 501, "this node does not serve GET /v1/moon"},
		"what is not there": {"GET", "/v1/graph", "", 501, "does not serve GET /v1/graph"},
		"another method":    {"PUT", "/v1/getinfo", "", 501, "Method Not Allowed"},
		"bad parameter":     {"GET", "/v1/utxos?min_confs=many", "", 400, "many"},
	} {
		t.Run(name, func(t *testing.T) {
			code, answer := client.call(t, c.method, c.path, c.body)
			require.Equal(t, c.code, code, answer)
			require.Contains(t, answer["message"], c.says)
		})
	}
}

// TestRESTMacaroons: what a macaroon allows over gRPC it allows over REST, from the address that the call really comes from.
func TestRESTMacaroons(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	client := h.rest(t, p)
	with := func(caveats ...string) string {
		var m macaroon.Macaroon
		require.NoError(t, m.UnmarshalBinary(h.macaroon(t)))
		for _, caveat := range caveats {
			require.NoError(t, m.AddFirstPartyCaveat([]byte(caveat)))
		}
		serialized, err := m.MarshalBinary()
		require.NoError(t, err)
		return hex.EncodeToString(serialized)
	}
	_, baked := client.call(t, "POST", "/v1/macaroon", `{"permissions": [{"entity": "info", "action": "read"}], "root_key_id": "5"}`)
	infoOnly := baked["macaroon"].(string)

	for name, c := range map[string]struct {
		macaroon, method, path string
		headers                []string
		says                   string // empty when it is allowed
	}{
		"admin":               {with(), "GET", "/v1/peers", nil, ""},
		"none":                {"", "GET", "/v1/peers", nil, "expected 1 macaroon, got 0"},
		"garbage":             {"garbage", "GET", "/v1/peers", nil, "not in hexadecimal digits"},
		"expired":             {with("time-before 2020-01-01T00:00:00Z"), "GET", "/v1/peers", nil, "macaroon has expired"},
		"this address":        {with("ipaddr 127.0.0.1"), "GET", "/v1/peers", nil, ""},
		"another address":     {with("ipaddr 10.0.0.1"), "GET", "/v1/peers", nil, "different IP address"},
		"baked":               {infoOnly, "GET", "/v1/getinfo", nil, ""},
		"baked for something": {infoOnly, "GET", "/v1/peers", nil, "permission denied"},
		"another address, and a header that says so": {
			with("ipaddr 10.0.0.1"), "GET", "/v1/peers",
			[]string{"Grpc-Metadata-stormcell-caller", "10.0.0.1:1", "X-Forwarded-For", "10.0.0.1"}, "different IP address",
		},
	} {
		t.Run(name, func(t *testing.T) {
			asking := *client
			asking.macaroon = c.macaroon
			code, answer := asking.call(t, c.method, c.path, "", c.headers...)
			if c.says == "" {
				require.Equal(t, http.StatusOK, code, answer)
				return
			}
			require.Equal(t, http.StatusInternalServerError, code)
			require.EqualValues(t, 2, answer["code"])
			require.Contains(t, answer["message"], c.says)
		})
	}
	_, ids := client.call(t, "GET", "/v1/macaroon/ids", "")
	require.Equal(t, []any{"0", "5"}, ids["root_key_ids"])
	_, deleted := client.call(t, "DELETE", "/v1/macaroon/5", "")
	require.Equal(t, true, deleted["deleted"])
}

// TestRESTStreams: a stream is lines of JSON, and ends with the daemon.
func TestRESTStreams(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t)
	h.create(t, p)
	client := h.rest(t, p)
	add := func(memo string) (index string) {
		code, added := client.call(t, "POST", "/v1/invoices", `{"memo": "`+memo+`"}`)
		require.Equal(t, http.StatusOK, code)
		return added["add_index"].(string)
	}
	known := add("known")
	add("one") // the gateway answers with the first update
	answer := client.do(t, "GET", "/v1/invoices/subscribe?add_index="+known, nil)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	add("two")
	lines := bufio.NewReader(answer.Body)
	for _, memo := range []string{"one", "two"} {
		line, err := lines.ReadBytes('\n')
		require.NoError(t, err)
		var update struct{ Result map[string]any }
		require.NoError(t, json.Unmarshal(line, &update))
		require.Equal(t, memo, update.Result["memo"])
	}
	h.ok(t, "", "stop")
	code, said := p.wait(t)
	require.Zero(t, code, said)
	rest, _ := io.ReadAll(lines)
	require.False(t, bytes.Contains(rest, []byte(`"result"`)), string(rest))
}

// TestNoREST: who does not want it has no such listener.
func TestNoREST(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.start(t, "--restlisten=")
	require.Equal(t, "none", p.waitFor(t, "waiting for the wallet to be unlocked")["rest"])
}
