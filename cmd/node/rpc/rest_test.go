package rpc

import (
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// TestStrangersTakeNothingFromClientsOfREST: requests without a macaroon of ours fill no place of those that have one.
func TestStrangersTakeNothingFromClientsOfREST(t *testing.T) {
	t.Parallel()
	m, err := openMacaroons(t.TempDir())
	require.NoError(t, err)
	var (
		held    sync.WaitGroup
		inside  = make(chan struct{})
		release = make(chan struct{})
	)
	handler := bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}), m)
	serve := func(macaroon []byte) int {
		request := httptest.NewRequest(http.MethodGet, "/v1/state", nil)
		request.Header.Set(macaroonHeader, hex.EncodeToString(macaroon))
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		return answer.Code
	}
	defer held.Wait()
	defer close(release)
	codes := make(chan int, maxOpenREST+1)
	for range maxOpenREST + 1 {
		held.Go(func() { codes <- serve([]byte("not one of ours")) })
		<-inside
	}
	require.Equal(t, http.StatusServiceUnavailable, <-codes, "the first has to leave")
	require.Empty(t, codes)

	held.Go(func() { serve(m.admin) })
	<-inside
}

// TestMalformedRequests: whatever is wrong with a request, it is answered in JSON by an error that says what, and soon.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Invoices: &fakeInvoices{}, Channels: &fakeChannels{}})
	serve(t, l.server)
	call := restCaller(t, l.server, new(atomic.Int64))
	client := restClient(t, new(net.Dialer).DialContext)
	admin := hex.EncodeToString(l.server.macaroons.admin)
	memo := func(size int) string { return `{"memo": "` + strings.Repeat("m", size) + `"}` }
	const enough = 500_000 // bytes that may be sent
	for name, c := range map[string]struct {
		macaroon, body string
		code           int
		says           string
	}{
		"10 MB":                    {admin, memo(10 << 20), 400, "request body too large"},
		"10 MB from a stranger":    {"", memo(10 << 20), 400, "request body too large"},
		"what a stranger may send": {"", memo(1 << 10), 500, "expected 1 macaroon, got 0"},
		"as large as it may be":    {admin, memo(enough), 429, "larger than max"},
		"lists without end":        {admin, strings.Repeat("[", enough), 400, "exceeded max depth"},
		"nested lists":             {admin, `{"route_hints": ` + strings.Repeat("[", enough), 400, "exceeded max depth"},
		"nested objects":           {admin, strings.Repeat(`{"memo":`, enough/8), 400, "exceeded max depth"},
		"nested unknown fields":    {admin, strings.Repeat(`{"a":`, enough/5), 400, "exceeded max depth"},
		"a number with an exponent": {
			admin, `{"value": 1e1000000000}`, 400, "invalid value for int64",
		},
		"a number of many digits": {admin, `{"value": ` + strings.Repeat("9", enough) + `}`, 400, "invalid value for int64"},
		"a number in a text":      {admin, `{"value": "` + strings.Repeat("9", enough) + `"}`, 400, "invalid value for int64"},
		"too large by one":        {admin, `{"value": "9223372036854775808"}`, 400, "invalid value for int64"},
		"no number":               {admin, `{"value": NaN}`, 400, "invalid character"},
		"the same field twice":    {admin, `{"memo": "a", "memo": "b"}`, 400, "duplicate field"},
		"no UTF-8":                {admin, "{\"memo\": \"\xff\xfe\"}", 400, "invalid UTF-8"},
		"half a surrogate":        {admin, `{"memo": "\ud800"}`, 400, "unexpected EOF"},
		"no base64":               {admin, `{"r_preimage": "%%%"}`, 400, "invalid value for bytes"},
		"nothing":                 {admin, "", 200, "lnbcrt"},
		"two requests":            {admin, `{"memo": "a"} {"memo": "b"}`, 200, "lnbcrt"}, // as lnd, which reads the first
		"a macaroon too large":    {strings.Repeat("00", 20_000), "{}", 500, "a macaroon of 20000 bytes is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+l.server.RESTAddr().String()+"/v1/invoices",
				strings.NewReader(c.body))
			require.NoError(t, err)
			if c.macaroon != "" {
				request.Header.Set(macaroonHeader, c.macaroon)
			}
			answer, err := client.Do(request)
			require.NoError(t, err)
			defer answer.Body.Close()
			said, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.Equal(t, c.code, answer.StatusCode, string(said))
			require.Contains(t, string(said), c.says)
			require.Less(t, len(said), 1_200, "nobody is sent back what he said")
			require.NoError(t, call())
		})
	}
}

// TestBodiesThatDoNotCome: a request whose body never comes is let go for others, and holds up nobody.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Channels: &fakeChannels{}})
	serve(t, l.server)
	answers := make(chan string)
	for left := maxOpenREST + 1; left > 0; left -= 100 {
		f := framesTo(t, l.server.RESTAddr())
		for range min(left, 100) { // streams that a connection may have
			require.NoError(t, f.open("/v1/unlockwallet", "content-type", "application/json", "content-length", "1000"))
		}
		go func() {
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if data, is := frame.(*http2.DataFrame); is {
					answers <- string(data.Data())
				}
			}
		}()
	}
	require.Contains(t, <-answers, `"message":"too many calls at once, try again later"`)
	require.NoError(t, restCaller(t, l.server, new(atomic.Int64))())
}
