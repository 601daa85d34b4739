package backend

import "sync"

// Signal tells any number of listeners that something happened. The zero value is ready. It is what backends implement
// Chain.Changed with.
type Signal struct {
	mu   sync.Mutex
	next chan struct{}
}

// Next is closed by the first Raise after this call.
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

// Raise wakes all who wait for Next.
func (s *Signal) Raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}
