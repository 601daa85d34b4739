package node

import "log/slog"

// SubsystemKey is the attribute of a log entry that says which part of the node it is from.
const SubsystemKey = "subsystem"

// The parts of a node that log, by four letters as lnd has them.
const (
	LogActors   = "ACTR"
	LogChain    = "NTFN"
	LogChannels = "CHAN"
	LogInvoices = "INVC"
	LogPayments = "PYMT"
	LogPeers    = "PEER"
	LogWallet   = "WLLT"
)

// logOf is where a part of the node logs to.
func (o *Options) logOf(subsystem string) *slog.Logger { return o.Log.With(SubsystemKey, subsystem) }
