// Package keys derives every private key a channel needs from one master key, and holds them behind Signer.
//
// # Derivation
//
// Keys stand at BIP 32 paths with the purpose and the families that lnd uses, so that tools which recover an lnd wallet
// from its aezeed words recover this node's channel keys too:
//
//	m / 1017' / coin' / family' / 0 / index
//
// The coin is 0 on mainnet and 1 on every test network. The families in use are keychain.KeyFamilyMultiSig (funding
// keys), ...RevocationBase, ...HtlcBase, ...PaymentBase, ...DelayBase, ...RevocationRoot and ...NodeKey, whose index 0 is
// the node's identity.
//
// Each channel has one index, its channel key index, which the node never gives to another channel. It names the
// channel's four basepoints, the root of its per-commitment secrets and its first funding key. A later funding key (each
// splice has a new one) takes a fresh index from the same counter, so a funding key index never names two fundings.
//
// The root of a channel's per-commitment secrets is the ECDH of its RevocationRoot key and its first funding key; secret
// n is the leaf at 2^48-1-n of the tree in BOLT 3, "Per-commitment Secret Requirements". Commitments count from 0.
package keys
