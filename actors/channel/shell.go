package channel

// Shell is the world of all channels of a node.
type Shell struct{}

// Client gives access to the channels.
func (s *Shell) Client() Client { return Client{shell: s} }
