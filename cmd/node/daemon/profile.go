package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
)

// serveProfile serves Go's profiler on an address, unless it is empty. failed hears when it cannot go on.
func serveProfile(address string, log *slog.Logger, failed func(error)) (*http.Server, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the profiler: %w", err)
	}
	log.Info("serving profiles", "address", listener.Addr().String())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux} // a profile takes as long as the client says
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("the profiler has failed: %w", err))
		}
	}()
	return server, nil
}
