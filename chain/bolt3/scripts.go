package bolt3

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/input"

	"stormcell/chain/keys"
)

// The scripts are put together here rather than by lnd's input package, which parses a template each time: 32 us for an HTLC
// script, as long as a signature takes, against 1 us. The tests hold each of them against lnd's.

// anchorDelay is after how many blocks anyone may spend an anchor.
const anchorDelay = 16

func fundingScript(a, b *btcec.PublicKey) []byte {
	first, second := a.SerializeCompressed(), b.SerializeCompressed()
	if bytes.Compare(first, second) > 0 {
		first, second = second, first
	}
	return finish(txscript.NewScriptBuilder().
		AddInt64(2).AddData(first).AddData(second).AddInt64(2).AddOp(txscript.OP_CHECKMULTISIG))
}

// delayedScript is the script of `to_local` and of the outputs of HTLC transactions.
func delayedScript(revocation, delayed *btcec.PublicKey, delay uint16) []byte {
	return finish(txscript.NewScriptBuilder().
		AddOp(txscript.OP_IF).
		AddData(revocation.SerializeCompressed()).
		AddOp(txscript.OP_ELSE).
		AddInt64(int64(delay)).AddOp(txscript.OP_CHECKSEQUENCEVERIFY).AddOp(txscript.OP_DROP).
		AddData(delayed.SerializeCompressed()).
		AddOp(txscript.OP_ENDIF).
		AddOp(txscript.OP_CHECKSIG))
}

// paymentScript is the script of `to_remote`.
func paymentScript(payment *btcec.PublicKey) []byte {
	return finish(txscript.NewScriptBuilder().
		AddData(payment.SerializeCompressed()).AddOp(txscript.OP_CHECKSIGVERIFY).
		AddInt64(1).AddOp(txscript.OP_CHECKSEQUENCEVERIFY))
}

func anchorScript(funding *btcec.PublicKey) []byte {
	return finish(txscript.NewScriptBuilder().
		AddData(funding.SerializeCompressed()).AddOp(txscript.OP_CHECKSIG).AddOp(txscript.OP_IFDUP).
		AddOp(txscript.OP_NOTIF).
		AddInt64(anchorDelay).AddOp(txscript.OP_CHECKSEQUENCEVERIFY).
		AddOp(txscript.OP_ENDIF))
}

func htlcScript(k *keys.CommitmentKeys, h *HTLC) []byte {
	b := txscript.NewScriptBuilder().
		AddOp(txscript.OP_DUP).AddOp(txscript.OP_HASH160).
		AddData(btcutil.Hash160(k.Revocation.SerializeCompressed())).AddOp(txscript.OP_EQUAL).
		AddOp(txscript.OP_IF).
		AddOp(txscript.OP_CHECKSIG).
		AddOp(txscript.OP_ELSE).
		AddData(k.CountersignerHTLC.SerializeCompressed()).AddOp(txscript.OP_SWAP).
		AddOp(txscript.OP_SIZE).AddInt64(32).AddOp(txscript.OP_EQUAL)
	if h.Direction == Offered {
		b.AddOp(txscript.OP_NOTIF).
			AddOp(txscript.OP_DROP).AddInt64(2).AddOp(txscript.OP_SWAP).
			AddData(k.BroadcasterHTLC.SerializeCompressed()).AddInt64(2).AddOp(txscript.OP_CHECKMULTISIG).
			AddOp(txscript.OP_ELSE).
			AddOp(txscript.OP_HASH160).AddData(input.Ripemd160H(h.PaymentHash[:])).AddOp(txscript.OP_EQUALVERIFY).
			AddOp(txscript.OP_CHECKSIG)
	} else {
		b.AddOp(txscript.OP_IF).
			AddOp(txscript.OP_HASH160).AddData(input.Ripemd160H(h.PaymentHash[:])).AddOp(txscript.OP_EQUALVERIFY).
			AddInt64(2).AddOp(txscript.OP_SWAP).
			AddData(k.BroadcasterHTLC.SerializeCompressed()).AddInt64(2).AddOp(txscript.OP_CHECKMULTISIG).
			AddOp(txscript.OP_ELSE).
			AddOp(txscript.OP_DROP).AddInt64(int64(h.Expiry)).AddOp(txscript.OP_CHECKLOCKTIMEVERIFY).
			AddOp(txscript.OP_DROP).AddOp(txscript.OP_CHECKSIG)
	}
	return finish(b.
		AddOp(txscript.OP_ENDIF).
		AddInt64(1).AddOp(txscript.OP_CHECKSEQUENCEVERIFY).AddOp(txscript.OP_DROP).
		AddOp(txscript.OP_ENDIF))
}

// p2wsh is the output script that pays to a witness script.
func p2wsh(script []byte) []byte {
	hash := sha256.Sum256(script)
	return finish(txscript.NewScriptBuilder().AddOp(txscript.OP_0).AddData(hash[:]))
}

// finish ends a script. It fails only beyond the size limits, and every script here is of a fixed shape far below them.
func finish(b *txscript.ScriptBuilder) []byte {
	script, err := b.Script()
	if err != nil {
		panic(fmt.Sprintf("build a script: %v", err))
	}
	return script
}
