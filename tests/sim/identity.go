package sim

import (
	"bytes"
	"crypto/sha256"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"

	"stormcell/chain/keys"
)

// Signer has the keys of the i-th simulated node, the same in every run.
func Signer(i int) keys.Signer {
	secret := sha256.Sum256([]byte{byte(i)})
	master, err := hdkeychain.NewMaster(secret[:], &chaincfg.RegressionNetParams)
	if err != nil {
		panic(err)
	}
	signer, err := keys.NewLocalSigner(master, 1, keys.Sequential)
	if err != nil {
		panic(err)
	}
	return signer
}

// CloseScript is where the funds of the i-th simulated node go when a channel is closed.
func CloseScript(i int) []byte {
	script, err := txscript.NewScriptBuilder().AddOp(txscript.OP_0).AddData(bytes.Repeat([]byte{byte(i + 1)}, 20)).Script()
	if err != nil {
		panic(err)
	}
	return script
}
