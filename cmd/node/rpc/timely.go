package rpc

import (
	"net/http"
	"time"
)

// Bounds of how an answer to a REST request is read. It may take as long as its stream lasts: only what is said has to be taken.
const (
	restWriteLimit = time.Minute // for each part
	restPart       = 64 << 10    // bytes
)

// timely ends an answer that nobody takes, and its call.
func (r *rest) timely(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		t := &timelyAnswer{w, http.NewResponseController(w), r.writeLimit}
		handler.ServeHTTP(t, request)
		// Something may be left in buffers. An HTTP/1 answer is not flushed, as it would lose its length; its connection forgets the
		// deadline once it is written.
		if request.ProtoMajor == 1 {
			_ = t.control.SetWriteDeadline(time.Now().Add(t.limit))
		} else {
			t.Flush()
		}
	})
}

// timelyAnswer is an answer each part of which has to be taken in time.
type timelyAnswer struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

// within ends the answer if write takes too long. There is no deadline while nothing is written: HTTP/2 would end a stream that has
// nothing to say, and keep one that has ended until then.
func (t *timelyAnswer) within(write func()) {
	ended := make(chan struct{})
	late := time.AfterFunc(t.limit, func() {
		defer close(ended)
		_ = t.control.SetWriteDeadline(time.Unix(0, 0))
	})
	write()
	if !late.Stop() {
		<-ended // the answer must not be touched after its handler
	}
}

// Write implements http.ResponseWriter.
func (t *timelyAnswer) Write(p []byte) (written int, err error) {
	for {
		part, n := p[:min(len(p), restPart)], 0
		t.within(func() { n, err = t.ResponseWriter.Write(part) })
		written, p = written+n, p[len(part):]
		if err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// Flush implements http.Flusher.
func (t *timelyAnswer) Flush() {
	t.within(func() { _ = t.control.Flush() }) // if that fails, the next write does
}

// Unwrap is for http.ResponseController.
func (t *timelyAnswer) Unwrap() http.ResponseWriter { return t.ResponseWriter }
