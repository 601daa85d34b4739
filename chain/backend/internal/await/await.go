// Package await bounds calls of libraries that know no context.
package await

import (
	"context"
	"fmt"
)

// Call waits for a call that cannot be cancelled, but not longer than ctx lasts: then it goes on by itself, and its answer is
// dropped. Errors begin with what the call is for.
func Call[T any](ctx context.Context, what string, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := call()
		answers <- answer{value, err}
	}()
	var zero T
	select {
	case <-ctx.Done():
		return zero, fmt.Errorf("%s: %w", what, ctx.Err())
	case a := <-answers:
		if a.err != nil {
			return zero, fmt.Errorf("%s: %w", what, a.err)
		}
		return a.value, nil
	}
}
