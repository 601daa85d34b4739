package rpc

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"gopkg.in/macaroon.v2"

	"stormcell/messages/lnrpc"
)

// TestMacaroonsThroughBothDoors: what is wrong with a macaroon is said in the same words over gRPC and over REST, under lnd's code, and
// before the request is looked at.
func TestMacaroonsThroughBothDoors(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Channels: &fakeChannels{}})
	conn := serve(t, l.server)
	client := restClient(t, new(net.Dialer).DialContext)
	foreign, err := openMacaroons(t.TempDir())
	require.NoError(t, err)
	admin := l.server.macaroons.admin
	with := func(caveats ...string) []byte {
		var m macaroon.Macaroon
		require.NoError(t, m.UnmarshalBinary(admin))
		for _, caveat := range caveats {
			require.NoError(t, m.AddFirstPartyCaveat([]byte(caveat)))
		}
		serialized, err := m.MarshalBinary()
		require.NoError(t, err)
		return serialized
	}
	many := func(n int) (caveats []string) {
		for i := range n {
			caveats = append(caveats, fmt.Sprintf("time-before 2%03d-01-01T00:00:00Z", 100+i%900))
		}
		return caveats
	}
	baked, err := l.server.macaroons.bake(0, []permission{readInvoices})
	require.NoError(t, err)
	deleted, err := l.server.macaroons.bake(7, allowed["admin"])
	require.NoError(t, err)
	_, err = l.server.macaroons.keys.remove(7)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		macaroons []string
		says      string // empty when it is good
	}{
		"good":                     {[]string{hex.EncodeToString(admin)}, ""},
		"none":                     {nil, "expected 1 macaroon, got 0"},
		"not hexadecimal":          {[]string{"zz"}, "the macaroon is not in hexadecimal digits"},
		"half a digit":             {[]string{hex.EncodeToString(admin)[1:]}, "the macaroon is not in hexadecimal digits"},
		"empty":                    {[]string{""}, "the macaroon cannot be read"},
		"cut":                      {[]string{hex.EncodeToString(admin[:len(admin)-8])}, "the macaroon cannot be read"},
		"of another root key":      {[]string{hex.EncodeToString(foreign.admin)}, "verification failed: signature mismatch"},
		"of a key that is deleted": {[]string{hex.EncodeToString(deleted)}, "cannot retrieve macaroon: cannot get macaroon: root key with id 7 doesn't exist"},
		"expired":                  {[]string{hex.EncodeToString(with("time-before 2020-01-01T00:00:00Z"))}, "macaroon has expired"},
		"for other calls":          {[]string{hex.EncodeToString(baked)}, "permission denied"},
		"many caveats that hold":   {[]string{hex.EncodeToString(with(many(300)...))}, ""},
		"one that does not":        {[]string{hex.EncodeToString(with(append(many(300), "ipaddr 10.0.0.1")...))}, "macaroon locked to different IP address"},
		"too many caveats":         {[]string{hex.EncodeToString(with(many(600)...))}, "bytes is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			for _, m := range c.macaroons {
				ctx = metadata.AppendToOutgoingContext(ctx, "macaroon", m)
			}
			_, err := lnrpc.NewLightningClient(conn).ListChannels(ctx, &lnrpc.ListChannelsRequest{})
			request, failed := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.server.RESTAddr().String()+"/v1/channels", nil)
			require.NoError(t, failed)
			for _, m := range c.macaroons {
				request.Header.Add(macaroonHeader, m)
			}
			answer, failed := client.Do(request)
			require.NoError(t, failed)
			defer answer.Body.Close()
			said, failed := io.ReadAll(answer.Body)
			require.NoError(t, failed)
			if c.says == "" {
				require.NotContains(t, status.Convert(err).Message(), "macaroon")
				require.Equal(t, http.StatusOK, answer.StatusCode, string(said))
				return
			}
			require.Equal(t, codes.Unknown, status.Code(err))
			require.ErrorContains(t, err, c.says)
			require.Equal(t, http.StatusInternalServerError, answer.StatusCode)
			require.Contains(t, string(said), c.says)
			require.Contains(t, string(said), `"code":2`)
		})
	}
	two := metadata.AppendToOutgoingContext(withAdmin(t, l.server), "macaroon", hex.EncodeToString(admin))
	_, err = lnrpc.NewLightningClient(conn).ListChannels(two, &lnrpc.ListChannelsRequest{})
	require.ErrorContains(t, err, "expected 1 macaroon, got 2")
}
