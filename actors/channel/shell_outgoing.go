package channel

import (
	"context"
	"fmt"

	"stormcell/actors/durable"
)

// With describes the channels with a peer that HTLCs may flow through now, whatever they can carry. The errors are the context's
// and the kernel's.
func (c Client) With(ctx context.Context, peer [33]byte) ([]Info, error) {
	select {
	case <-c.shell.loaded:
	case <-ctx.Done():
		return nil, fmt.Errorf("ask the channels with %x: %w", peer, ctx.Err())
	}
	var asked []durable.Address
	c.shell.each(peer, func(m *member) { asked = append(asked, m.address) })
	answers := make(chan Info, len(asked))
	for _, addr := range asked {
		err := c.shell.Kernel.AskFunc(addr, Describe{}, false, func(body any, _ error) {
			info, _ := body.(Info) // a channel that does not answer takes nothing
			answers <- info
		})
		if err != nil {
			answers <- Info{}
		}
	}
	var open []Info
	for range asked {
		select {
		case info := <-answers:
			if info.Active {
				open = append(open, info)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("ask the channels with %x: %w", peer, ctx.Err())
		case <-c.shell.Kernel.Dead():
			return nil, fmt.Errorf("ask the channels with %x: %w", peer, c.shell.Kernel.Err())
		}
	}
	return open, nil
}
