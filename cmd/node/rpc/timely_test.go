package rpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	invoices "stormcell/actors/invoice"
)

// talkingInvoices tell of one invoice again and again, as often as there is something in next.
type talkingInvoices struct {
	fakeInvoices
	next  <-chan struct{}
	ended chan struct{}
}

func (f *talkingInvoices) SubscribeAll(ctx context.Context, _ invoices.Since, tell func(invoices.Event) error) error {
	defer close(f.ended)
	for {
		select {
		case <-f.next:
			if err := tell(invoices.Event{Info: f.all[0]}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscribeREST is a request for a stream of invoices over HTTP/1.1.
func subscribeREST(t *testing.T, s *Server) io.ReadWriter {
	t.Helper()
	secure := tls.Client(visit(t, s.RESTAddr(), "127.0.0.4"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	_, err := fmt.Fprintf(secure, "GET /v1/invoices/subscribe HTTP/1.1\r\nHost: node\r\n%s: %x\r\n\r\n", macaroonHeader, s.macaroons.admin)
	require.NoError(t, err)
	return secure
}

// TestAnswersThatNobodyTakes: a call over REST ends, and its place is free, when its answer is not read.
func TestAnswersThatNobodyTakes(t *testing.T) {
	t.Parallel()
	always := make(chan struct{})
	close(always)
	for name, subscribe := range map[string]func(*testing.T, *Server){
		"HTTP/1.1": func(t *testing.T, s *Server) { subscribeREST(t, s) },
		"HTTP/2, of which nothing is read": func(t *testing.T, s *Server) {
			f := framesTo(t, s.RESTAddr())
			require.NoError(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}))
			require.NoError(t, f.WriteWindowUpdate(0, 1<<30))
			require.NoError(t, f.open("/v1/invoices/subscribe", subscribeHeaders(s)...))
		},
		"HTTP/2, of which all windows are full": func(t *testing.T, s *Server) {
			f := framesTo(t, s.RESTAddr())
			require.NoError(t, f.open("/v1/invoices/subscribe", subscribeHeaders(s)...))
			require.Contains(t, f.answer(t), "reset")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			talking := &talkingInvoices{fakeInvoices{all: []invoices.Info{anInvoice(t)}}, always, make(chan struct{})}
			l := newLightning(t, Node{Invoices: talking})
			l.server.rest.writeLimit = 100 * time.Millisecond
			l.server.rest.http.HTTP2.WriteByteTimeout = l.server.rest.writeLimit
			serve(t, l.server)
			subscribe(t, l.server)
			select {
			case <-talking.ended:
			case <-time.After(patience):
				require.FailNow(t, "the call goes on for ever")
			}
			require.Eventually(t, func() bool { return len(l.server.streams) == 0 }, patience, time.Millisecond)
		})
	}
}

// subscribeHeaders are those of a request for a stream of invoices.
func subscribeHeaders(s *Server) []string {
	return []string{
		":method", "GET", "content-type", "application/json", strings.ToLower(macaroonHeader), hex.EncodeToString(s.macaroons.admin),
	}
}

// TestStreamsWithNothingToSay: a stream stays open, however long nothing happens of which it tells.
func TestStreamsWithNothingToSay(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	for name, client := range map[string]*http.Client{
		"HTTP/1.1": {Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
		"HTTP/2":   restClient(t, new(net.Dialer).DialContext),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(client.CloseIdleConnections)
			next := make(chan struct{}, 1)
			l := newLightning(t, Node{Invoices: &talkingInvoices{
				fakeInvoices{all: []invoices.Info{anInvoice(t)}}, next, make(chan struct{}),
			}})
			l.server.rest.writeLimit = limit
			serve(t, l.server)
			next <- struct{}{}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
				"https://"+l.server.RESTAddr().String()+"/v1/invoices/subscribe", nil)
			require.NoError(t, err)
			request.Header.Set(macaroonHeader, hex.EncodeToString(l.server.macaroons.admin))
			answer, err := client.Do(request)
			require.NoError(t, err)
			defer answer.Body.Close()
			told := bufio.NewReader(answer.Body)
			for range 2 {
				line, err := told.ReadString('\n')
				require.NoError(t, err)
				require.Contains(t, line, `{"result":{"memo":"coffee"`)
				<-time.After(limit + limit/2) // that nothing happens meanwhile is what this is about
				next <- struct{}{}
			}
			_, err = told.ReadString('\n')
			require.NoError(t, err)
		})
	}
}
