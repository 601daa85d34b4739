// Package payment pays: the control tower. A payment is an actor, and each HTLC that it sends on its way, a shard, is one
// too.
//
// # The rules
//
// A payment is in flight as long as it has live shards, or has none and has come to no end: a shard settled, or the payment
// as a whole failed. While value remains it launches shards. It stops when a shard settles, when it fails as a whole, and at
// its deadline; but what becomes of a live shard is recorded whenever it comes. The first failure of the whole counts, and
// becomes the payment's status only if no shard is live and none settled. A settled shard makes it Succeeded for ever.
//
// A hash is paid once: paying it again is refused while the payment is in flight and after it succeeded. One that failed may
// be tried again, and keeps its history.
//
// # Who does what
//
// The payment decides on routes and draws the session keys, so that its state has every attempt from the commit that
// launches it. The shard builds the onion, and sends the HTLC to the channel in the commit in which it begins. The channel
// answers with how it ended; the shard reads the failure, and tells the payment in the same commit. The payment's commit that
// records a preimage tells the channel's monitor that it may forget it.
//
// Routes are found outside, by FindRoutes, which answers with Found. After a restart a payment first gathers what its live
// shards know: nothing is launched before.
//
// # What is kept
//
// Both kinds store their state at each step. A shard that has ended keeps only how; the whole story is the payment's.
// Beside it lie two columns: one in the list of payments, by number, and one that finds payments by hash.
package payment
