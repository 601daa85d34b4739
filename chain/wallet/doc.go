// Package wallet holds the node's coins on the chain.
//
// Everything comes from the seed: the node's keys (package keys) and the wallet's addresses, which stand where lnd has them (BIP
// 84 and BIP 86, account 0). The seed is a file, encrypted under a passphrase; its words are aezeed, as lnd
// has them. What btcwallet keeps in its own directory is a cache of the chain: without it the wallet searches the chain again
// from the seed's birthday.
//
// What the node promised is not in here: which coins are leased and which addresses were given out are events in the node's
// journal. Leases and Select are plain state and a plain function for that; Wallet is told about addresses by their index.
package wallet
