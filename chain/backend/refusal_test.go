package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
)

func TestRefusalsAreUnderstood(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]backend.PublishStatus{
		// btcd
		"TX rejected: already have transaction in mempool 5ab2":                                           backend.AlreadyKnown,
		"TX rejected: transaction already exists in blockchain":                                           backend.AlreadyConfirmed,
		"TX rejected: orphan transaction 5ab2 references outputs of unknown or fully-spent transaction":   backend.MissingInputs,
		"TX rejected: output already spent in mempool: output=5ab2:0, tx=77":                              backend.Conflicts,
		"TX rejected: replacement transaction 5ab2 has an insufficient absolute fee: needs 10, has 5":     backend.FeeTooLow,
		"TX rejected: transaction 5ab2 has 10 fees which is under the required amount of 150":             backend.FeeTooLow,
		"TX rejected: replacement transaction spends new unconfirmed input 5ab2:0 not found in conflicts": backend.Conflicts,
		"TX rejected: transaction is not finalized":                                                       backend.Rejected,
		// bitcoind
		"Transaction already in block chain":                   backend.AlreadyConfirmed,
		"Transaction outputs already in utxo set":              backend.AlreadyConfirmed,
		"txn-already-in-mempool":                               backend.AlreadyKnown,
		"txn-already-known":                                    backend.AlreadyConfirmed,
		"bad-txns-inputs-missingorspent":                       backend.MissingInputs,
		"txn-mempool-conflict":                                 backend.Conflicts,
		"insufficient fee, rejecting replacement 5ab2":         backend.FeeTooLow,
		"min relay fee not met, 10 < 150":                      backend.FeeTooLow,
		"mempool min fee not met, 10 < 150":                    backend.FeeTooLow,
		"replacement-adds-unconfirmed, replacement 5ab2":       backend.Conflicts,
		"too many potential replacements, rejecting":           backend.Conflicts,
		"bad-txns-spends-conflicting-tx, 5ab2 spends conflict": backend.Conflicts,
		"mandatory-script-verify-flag-failed (Script failed)":  backend.Rejected,
		"non-BIP68-final":                                      backend.Rejected,
	} {
		got := backend.Refusal(text)
		require.Equal(t, want, got.Status, text)
		require.Equal(t, text, got.Reason)
	}
}
