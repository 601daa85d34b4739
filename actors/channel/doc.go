// Package channel is one channel with one peer: a pure core for the kernel in actors/durable.
//
// Commitments is its heart: one set of HTLCs, and how far each update has come on its way into both commitments. Every
// commitment transaction there is, was or may be signed next is a view of that set. Operations on it decide without
// changing anything and give events; Apply folds events in.
//
// What the peer may not do is a *Violation; what we ourselves may not do is a *Refusal.
package channel
