// Package backend is the node's door to the Bitcoin network: what the best chain is, what its blocks hold, what a
// transaction costs, and how one is published. Package rpc talks to a server that somebody runs, package light
// is a light client in this process.
//
// A Stream turns what a backend says about the best chain into an order in which nothing is missing: blocks are connected
// and disconnected one by one, and each event builds on the one before it.
package backend
