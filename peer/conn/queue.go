package conn

import (
	"errors"
	"sync"
)

var errQueueFull = errors.New("queue is full")

// messageOverhead in bytes is what a queued message costs beyond its own bytes, so that a flood of small ones is
// bounded too.
const messageOverhead = 64

// queue holds encoded messages on their way out, bounded in bytes.
type queue struct {
	limit int
	wake  chan struct{} // has an item when there is something to do for the writer

	mu     sync.Mutex
	items  [][]byte
	size   int
	closed bool
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1)}
}

// push adds a message. A closed queue drops it: the caller learns from the connection that it has ended.
func (q *queue) push(message []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	cost := len(message) + messageOverhead
	if q.size+cost > q.limit {
		return errQueueFull
	}
	q.append(message)
	return nil
}

// pop takes the first message, nil if there is none. Drained says that there will never be another.
func (q *queue) pop() (message []byte, drained bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, q.closed
	}
	message = q.items[0]
	q.items[0] = nil
	q.items = q.items[1:]
	q.size -= len(message) + messageOverhead
	return message, false
}

// close lets nothing more in but last, which may be nil.
func (q *queue) close(last []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if last != nil {
		q.append(last)
	}
	q.signal()
}

// drop empties a queue and closes it.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.items, q.size = nil, 0
	q.signal()
}

func (q *queue) append(message []byte) {
	q.items = append(q.items, message)
	q.size += len(message) + messageOverhead
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
