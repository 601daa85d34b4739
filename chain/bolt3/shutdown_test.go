package bolt3_test

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/bolt3"
)

func script(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func zeros(n int) []byte { return make([]byte, n) }

var (
	p2pkh = script([]byte{txscript.OP_DUP, txscript.OP_HASH160, 20}, zeros(20),
		[]byte{txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG})
	p2sh = script([]byte{txscript.OP_HASH160, 20}, zeros(20), []byte{txscript.OP_EQUAL})
)

func TestShutdownScripts(t *testing.T) {
	t.Parallel()
	all := bolt3.ShutdownFeatures{AnySegwit: true, SimpleClose: true}
	for name, test := range map[string]struct {
		script   []byte
		features bolt3.ShutdownFeatures
		refused  bool
	}{
		"p2wpkh":                    {script: script([]byte{0, 20}, zeros(20))},
		"p2wsh":                     {script: script([]byte{0, 32}, zeros(32))},
		"p2tr":                      {script: script([]byte{txscript.OP_1, 32}, zeros(32)), features: all},
		"p2tr without feature":      {script: script([]byte{txscript.OP_1, 32}, zeros(32)), refused: true},
		"version 16":                {script: script([]byte{txscript.OP_16, 40}, zeros(40)), features: all},
		"two bytes":                 {script: script([]byte{txscript.OP_1, 2}, zeros(2)), features: all},
		"one byte":                  {script: script([]byte{txscript.OP_1, 1}, zeros(1)), features: all, refused: true},
		"41 bytes":                  {script: script([]byte{txscript.OP_1, 41}, zeros(41)), features: all, refused: true},
		"version 0 of 31 bytes":     {script: script([]byte{0, 31}, zeros(31)), features: all, refused: true},
		"OP_RETURN of 5":            {script: script([]byte{txscript.OP_RETURN, 5}, zeros(5)), features: all, refused: true},
		"OP_RETURN of 6":            {script: script([]byte{txscript.OP_RETURN, 6}, zeros(6)), features: all},
		"OP_RETURN without feature": {script: script([]byte{txscript.OP_RETURN, 6}, zeros(6)), refused: true},
		"OP_RETURN of 75":           {script: script([]byte{txscript.OP_RETURN, 75}, zeros(75)), features: all},
		"OP_RETURN of 75, long":     {script: script([]byte{txscript.OP_RETURN, 76, 75}, zeros(75)), features: all, refused: true},
		"OP_RETURN of 76":           {script: script([]byte{txscript.OP_RETURN, 76, 76}, zeros(76)), features: all},
		"OP_RETURN of 80":           {script: script([]byte{txscript.OP_RETURN, 76, 80}, zeros(80)), features: all},
		"OP_RETURN of 81":           {script: script([]byte{txscript.OP_RETURN, 76, 81}, zeros(81)), features: all, refused: true},
		"OP_RETURN cut short":       {script: script([]byte{txscript.OP_RETURN, 6}, zeros(5)), features: all, refused: true},
		"OP_RETURN and more":        {script: script([]byte{txscript.OP_RETURN, 6}, zeros(7)), features: all, refused: true},
		"bare OP_RETURN":            {script: []byte{txscript.OP_RETURN}, features: all, refused: true},
		"OP_RETURN and a length":    {script: []byte{txscript.OP_RETURN, 76}, features: all, refused: true},
		"p2pkh":                     {script: p2pkh, features: all, refused: true},
		"p2sh":                      {script: p2sh, features: all, refused: true},
		"nothing":                   {features: all, refused: true},
		"long":                      {script: zeros(60_000), features: all, refused: true},
	} {
		err := bolt3.CheckShutdownScript(test.script, test.features)
		if test.refused {
			require.ErrorIs(t, err, bolt3.ErrShutdownScript, name)
			require.Less(t, len(err.Error()), 300, name)
		} else {
			require.NoError(t, err, name)
		}
	}
}

func FuzzCheckShutdownScript(f *testing.F) {
	f.Add([]byte{txscript.OP_RETURN, 76, 76})
	f.Add(script([]byte{txscript.OP_1, 32}, zeros(32)))
	f.Fuzz(func(t *testing.T, pkScript []byte) {
		all := bolt3.ShutdownFeatures{AnySegwit: true, SimpleClose: true}
		if bolt3.CheckShutdownScript(pkScript, all) == nil {
			require.LessOrEqual(t, len(pkScript), 83, "what is accepted is standard")
			require.LessOrEqual(t, bolt3.DustThreshold(pkScript), btcutil.Amount(354))
		}
		require.GreaterOrEqual(t, bolt3.DustThreshold(pkScript), btcutil.Amount(0))
	})
}

// BOLT 3, "Dust Limits".
func TestDustThresholds(t *testing.T) {
	t.Parallel()
	for want, pkScript := range map[btcutil.Amount][]byte{
		546: p2pkh,
		540: p2sh,
		294: script([]byte{0, 20}, zeros(20)),
		330: script([]byte{0, 32}, zeros(32)),
		240: {txscript.OP_1, 2, 0x4e, 0x73},
		354: script([]byte{txscript.OP_16, 40}, zeros(40)),
		0:   script([]byte{txscript.OP_RETURN, 6}, zeros(6)),
	} {
		require.Equal(t, want, bolt3.DustThreshold(pkScript))
		tx := wire.NewMsgTx(2)
		tx.AddTxOut(wire.NewTxOut(int64(want), pkScript))
		require.NoError(t, bolt3.CheckDust(tx))
		if want > 0 {
			tx.TxOut[0].Value--
			require.ErrorIs(t, bolt3.CheckDust(tx), bolt3.ErrDustOutput)
		}
	}
}
