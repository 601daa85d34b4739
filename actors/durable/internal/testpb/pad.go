// Package testpb is what the kernel's own tests store and send.
package testpb

import "fmt"

// Add folds in a note. What came twice, out of order or not after the one before ends up in Wrong: senders number their
// notes from 1, by receiver.
func (p *Pad) Add(ev *Noted) {
	p.Count++
	if ev.Text != "" {
		p.Texts = append(p.Texts, ev.Text)
	}
	if ev.Fill != nil {
		p.Fill = ev.Fill
	}
	if ev.From == "" {
		return
	}
	if p.Newest == nil {
		p.Newest = map[string]uint64{}
	}
	if ev.Lsn < p.Lsn || ev.Lsn == p.Lsn && ev.N <= p.N && p.Count > 1 && p.Lsn != 0 {
		p.Wrong = append(p.Wrong, fmt.Sprintf("%d.%d after %d.%d", ev.Lsn, ev.N, p.Lsn, p.N))
	}
	if want := p.Newest[ev.From] + 1; ev.Number != want {
		p.Wrong = append(p.Wrong, fmt.Sprintf("number %d of %s, not %d", ev.Number, ev.From, want))
	}
	p.Newest[ev.From], p.Lsn, p.N = ev.Number, ev.Lsn, ev.N
}
