package bolt3

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/txscript"
)

// ErrShutdownScript refuses to close a channel to a script that BOLT 2 does not allow.
var ErrShutdownScript = errors.New("not a script to close a channel to")

// ShutdownFeatures are the negotiated features that widen what a channel may close to.
type ShutdownFeatures struct {
	AnySegwit   bool // option_shutdown_anysegwit
	SimpleClose bool // option_simple_close
}

// CheckShutdownScript fails with ErrShutdownScript for a `scriptpubkey` that is in none of the forms of BOLT 2, "Closing
// Initiation". The same forms hold for `shutdown_scriptpubkey` and for the scripts in `closing_complete`.
func CheckShutdownScript(pkScript []byte, features ShutdownFeatures) error {
	switch {
	case txscript.IsPayToWitnessPubKeyHash(pkScript), txscript.IsPayToWitnessScriptHash(pkScript):
		return nil
	case features.AnySegwit && isLaterWitness(pkScript):
		return nil
	case features.SimpleClose && isSinglePushOpReturn(pkScript):
		return nil
	}
	return fmt.Errorf("script %x: %w", pkScript[:min(len(pkScript), 100)], ErrShutdownScript)
}

// isLaterWitness tells whether the script is a witness program of version 1 to 16.
func isLaterWitness(pkScript []byte) bool {
	return txscript.IsWitnessProgram(pkScript) && pkScript[0] != txscript.OP_0
}

func isSinglePushOpReturn(pkScript []byte) bool {
	if !isOpReturn(pkScript) || len(pkScript) < 2 {
		return false
	}
	switch push := pkScript[1]; {
	case push >= 6 && push <= 75:
		return len(pkScript) == 2+int(push)
	case push == txscript.OP_PUSHDATA1 && len(pkScript) > 2:
		return pkScript[2] >= 76 && pkScript[2] <= 80 && len(pkScript) == 3+int(pkScript[2])
	default:
		return false
	}
}
