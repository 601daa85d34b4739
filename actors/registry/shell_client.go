package registry

import (
	"context"
	"fmt"

	"stormcell/actors/durable"
	pb "stormcell/messages/registry"
)

// Client asks the registry, for those outside.
type Client struct{ Kernel *durable.Kernel }

// Reserve gives a key index that was never used. The errors are those of the question, and the kernel's.
func (c Client) Reserve(ctx context.Context, want Reserve) (uint32, error) {
	return ask[uint32](ctx, c, want)
}

// Forgo gives up a reservation that nothing came of.
func (c Client) Forgo(index uint32) error { return c.Kernel.Tell(Address, 0, Forgo{index}) }

// Find gives a channel that is not gone, nil when there is none. It must not be changed.
func (c Client) Find(ctx context.Context, index uint32) (*pb.Channel, error) {
	return ask[*pb.Channel](ctx, c, Find{index})
}

// Roster gives all channels that are not gone, by key index. They must not be changed.
func (c Client) Roster(ctx context.Context) ([]*pb.Channel, error) {
	return ask[[]*pb.Channel](ctx, c, Roster{})
}

// Costly is how many channels may have to be closed at our cost: those that have a funding, and those that we are opening.
func (c Client) Costly(ctx context.Context) (int, error) {
	roster, err := c.Roster(ctx)
	count := 0
	for _, channel := range roster {
		if channel.GetOpener() || hadFunding(channel) {
			count++
		}
	}
	return count, err
}

// Gone gives every channel that is gone and had a funding, oldest first.
func (c Client) Gone(ctx context.Context) ([]*pb.Channel, error) {
	var all []*pb.Channel
	for after := ""; ; {
		page, err := ask[GonePage](ctx, c, Gone{After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Channels...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

func ask[T any](ctx context.Context, c Client, question any) (T, error) {
	var none T
	body, err := c.Kernel.Ask(ctx, Address, question)
	if err != nil {
		return none, err
	}
	switch answer := body.(type) {
	case T:
		return answer, nil
	case error:
		return none, answer
	}
	return none, fmt.Errorf("the registry answers %T with %T", question, body)
}
