package rpc

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// states is how far the daemon has come, and tells those who wait for more.
type states struct {
	mu      sync.Mutex
	state   lnrpc.WalletState
	changed chan struct{} // closed by the next change
	ended   bool
}

func newStates(initial lnrpc.WalletState) *states {
	return &states{state: initial, changed: make(chan struct{})}
}

func (s *states) now() lnrpc.WalletState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *states) set(state lnrpc.WalletState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
	s.stir()
}

// end tells those who wait that the daemon stops.
func (s *states) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.stir()
}

func (s *states) stir() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *states) watch() (state lnrpc.WalletState, changed <-chan struct{}, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.changed, s.ended
}

// stateService is lnd's State.
type stateService struct {
	lnrpc.UnimplementedStateServer
	states *states
}

// GetState implements lnrpc.StateServer.
func (s *stateService) GetState(context.Context, *lnrpc.GetStateRequest) (*lnrpc.GetStateResponse, error) {
	return &lnrpc.GetStateResponse{State: s.states.now()}, nil
}

// SubscribeState implements lnrpc.StateServer. A client that reads slowly misses states in between, never the last.
func (s *stateService) SubscribeState(_ *lnrpc.SubscribeStateRequest, out lnrpc.State_SubscribeStateServer) error {
	var sent *lnrpc.WalletState
	for {
		state, changed, ended := s.states.watch()
		if ended {
			return status.Error(codes.Unavailable, "the daemon is shutting down")
		}
		if sent == nil || *sent != state {
			if err := out.Send(&lnrpc.SubscribeStateResponse{State: state}); err != nil {
				return err
			}
			sent = &state
		}
		select {
		case <-changed:
		case <-out.Context().Done():
			return out.Context().Err()
		}
	}
}
