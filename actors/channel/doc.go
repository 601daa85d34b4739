// Package channel is one channel with one peer: a pure core for the kernel in actors/durable.
//
// Commitments is its heart: one set of HTLCs, and how far each update has come on its way into both commitments (Progress).
// Every commitment transaction there is, was or may be signed next is a view of that set, on each active funding.
// Operations on it decide without changing anything and give events; Apply folds events in.
//
// # What is stored when
//
// An update is staged when it is proposed, by us or by the peer, and stored with the signature that carries it; one
// commit for a burst. An AddHTLC stays in the inbox until then. Removals by us are stored at once, and so is a preimage
// from the peer, which goes to whoever waits for it in that same step. Each step that moves a commitment tells the monitor
// in its own commit.
//
// # What the shell does
//
// It gives every connection a number (Link), tells Connected and Disconnected, and hands in what the peer says as Received,
// in order. It carries out SendWire and Hangup while that connection is there, and drops them afterwards. When the kernel
// says that an incarnation has ended it closes the connection. The chain's facts (Height, FundingConfirmed, FundingUndone,
// FundingSpent) answer WatchFunding, which comes again after a restart.
//
// A channel is begun by Open, or for a peer's `open_channel` by Incoming, at an address and with a key index that were never
// used before.
//
// # Errors
//
// What the peer may not do is a *Violation: a warning and a closed connection, or where the BOLTs say so an error and our
// commitment published. What we ourselves may not do is a *Refusal, with a sentence for people; an AddHTLC is refused by
// HTLCRefused. Trouble of our own, a signer that is away say, closes the connection: what the peer sent is sent again.
package channel
