package rpc

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
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
