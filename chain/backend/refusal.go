package backend

import "strings"

// refusals are parts of the texts with which btcd and bitcoind, in their versions of the last years, refuse a transaction.
// The first that fits counts. Texts are compared in lower case and with spaces for dashes.
var refusals = []struct {
	text   string
	status PublishStatus
}{
	{"already in block chain", AlreadyConfirmed},
	{"transaction already exists", AlreadyConfirmed},
	{"outputs already in utxo set", AlreadyConfirmed},
	{"database contains entry for spent tx output", AlreadyConfirmed},
	{"txn already known", AlreadyConfirmed},

	{"already in mempool", AlreadyKnown},
	{"already have transaction", AlreadyKnown},
	{"same nonwitness data in mempool", AlreadyKnown},

	{"missingorspent", MissingInputs},
	{"missing inputs", MissingInputs},
	{"orphan transaction", MissingInputs},
	{"does not exist or has already been spent", MissingInputs},

	{"insufficient fee", FeeTooLow},
	{"insufficient absolute fee", FeeTooLow},
	{"insufficient priority", FeeTooLow},
	{"fee not met", FeeTooLow},
	{"under the required amount", FeeTooLow},
	{"due to low fees", FeeTooLow},
	{"mempool full", FeeTooLow},

	{"mempool conflict", Conflicts},
	{"already spent in mempool", Conflicts},
	{"already spent by transaction", Conflicts},
	{"replacement", Conflicts}, // those that the fee decides are above
	{"conflicting tx", Conflicts},
}

// Refusal understands the words in which a node refuses a transaction. What it does not know is Rejected.
func Refusal(text string) PublishResult {
	plain := strings.ReplaceAll(strings.ToLower(text), "-", " ")
	for _, known := range refusals {
		if strings.Contains(plain, known.text) {
			return PublishResult{Status: known.status, Reason: text}
		}
	}
	return PublishResult{Status: Rejected, Reason: text}
}
