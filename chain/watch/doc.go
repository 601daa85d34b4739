// Package watch finds on the chain what others wait for: that a transaction is confirmed to a depth, that an output is
// spent, and that a reorganisation undid either.
//
// Tracker is the core: plain state that is fed blocks and answers with facts. Watcher runs it on a backend.
//
// The facts that hold at any moment are a function of the best chain alone. So nothing is stored: after a restart whoever
// watches registers again, says from which height on to look and which fact it was told, and hears what has changed since.
package watch
