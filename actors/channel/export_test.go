package channel

// Size counts what the shell knows: channels, and names and fundings of them.
func (s *Shell) Size() int {
	n := 0
	count := func(any, any) bool {
		n++
		return true
	}
	s.members.Range(count)
	s.routes.Range(count)
	s.claims.Range(count)
	return n
}
