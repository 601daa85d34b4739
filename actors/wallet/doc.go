// Package wallet is the actor that promises the node's coins: it gives out addresses, provides the funding transactions of
// channels, and pays.
//
// What the coins are is known to chain/wallet; what is kept here is which addresses were given out, and every signed
// transaction until it is deep in the chain: its coins are set aside by it, so that nothing else spends them.
//
// A transaction begins as a draft. The core asks for the coins (Look), picks from them, and asks for signatures (Sign). Drafts
// are not stored: nothing has left the node before a transaction is Signed, so a restart begins again. A channel's funding
// is kept back until the channel says FundingUsed; its coins are free again when it says FundingReleased.
package wallet
