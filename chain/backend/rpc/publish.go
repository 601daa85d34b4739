package rpc

import (
	"errors"
	"strings"

	"github.com/btcsuite/btcd/btcjson"

	"stormcell/chain/backend"
)

// refusals are parts of the texts with which btcd and bitcoind, in their versions of the last years, refuse a transaction.
// The first that fits counts. Texts are compared in lower case and with spaces for dashes.
var refusals = []struct {
	text   string
	status backend.PublishStatus
}{
	{"already in block chain", backend.AlreadyConfirmed},
	{"already exists in blockchain", backend.AlreadyConfirmed},
	{"outputs already in utxo set", backend.AlreadyConfirmed},
	{"database contains entry for spent tx output", backend.AlreadyConfirmed},
	{"txn already known", backend.AlreadyConfirmed},

	{"already in mempool", backend.AlreadyKnown},
	{"already have transaction", backend.AlreadyKnown},
	{"same nonwitness data in mempool", backend.AlreadyKnown},

	{"missingorspent", backend.MissingInputs},
	{"missing inputs", backend.MissingInputs},
	{"orphan transaction", backend.MissingInputs},
	{"does not exist or has already been spent", backend.MissingInputs},

	{"insufficient fee", backend.FeeTooLow},
	{"insufficient absolute fee", backend.FeeTooLow},
	{"insufficient priority", backend.FeeTooLow},
	{"fee not met", backend.FeeTooLow},
	{"under the required amount", backend.FeeTooLow},
	{"due to low fees", backend.FeeTooLow},
	{"mempool full", backend.FeeTooLow},

	{"mempool conflict", backend.Conflicts},
	{"already spent in mempool", backend.Conflicts},
	{"already spent by transaction", backend.Conflicts},
	{"replacement", backend.Conflicts}, // those that the fee decides are above
	{"conflicting tx", backend.Conflicts},
}

// publishResult reads a server's answer. An error that is no answer is returned.
func publishResult(err error) (backend.PublishResult, error) {
	if err == nil {
		return backend.PublishResult{Status: backend.Accepted}, nil
	}
	var refusal *btcjson.RPCError
	if !errors.As(err, &refusal) {
		return backend.PublishResult{}, err
	}
	text := strings.ReplaceAll(strings.ToLower(refusal.Message), "-", " ")
	for _, known := range refusals {
		if strings.Contains(text, known.text) {
			return backend.PublishResult{Status: known.status, Reason: refusal.Message}, nil
		}
	}
	return backend.PublishResult{Status: backend.Rejected, Reason: refusal.Message}, nil
}
