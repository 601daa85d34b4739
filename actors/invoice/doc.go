// Package invoice is an incoming payment: one actor for each payment hash, from the invoice to the claim.
//
// # What comes in
//
// A channel sends IncomingHTLC for every HTLC of its peer that is irrevocable. The actor at the payment hash opens the onion,
// and answers with FulfillHTLC, FailHTLC or FailMalformedHTLC, now or later; whoever answers, answers once. A hash that nobody
// knows is answered too, and nothing is stored for it.
//
// # A set
//
// The parts of a payment are gathered under the invoice's payment secret, until they have the total that each of them names.
// A set is claimed whole or not at all. The claim is one commit: the invoice is settled in it, every channel of the set gets its
// FulfillHTLC and every monitor the preimages. From that commit on nothing can stop it, on the chain or off, and before it
// nobody outside has the preimage. Parts that come afterwards are failed. A set that is not complete in time is failed.
//
// A hold invoice waits between the last part and the claim. It is given back by itself before its first HTLC comes so close to
// its expiry that the channel could not settle it off the chain any more.
//
// # What is kept
//
// The state is stored with each step. Beside it lie columns: a line in the list of what was added, and one in the list of what
// was settled. Their numbers are those of the commits, which the log gives out anyway: lists are in the order in which things
// became true, a reader who has seen a number will never find a smaller one appear, and no actor counts for all invoices. So
// numbers grow, but not by ones. The lists by hash say the same of one invoice.
package invoice
