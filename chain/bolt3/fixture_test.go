package bolt3_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
)

// Channel and funding key indices of the two sides: different ones, so that confusing them shows.
const (
	channelIndex = 3
	fundingIndex = 9
)

var sides = []bolt3.Side{bolt3.Opener, bolt3.Accepter}

// signers are the two sides' signers. They hold nothing that a test changes.
var signers = sync.OnceValue(func() [2]*keys.LocalSigner {
	var both [2]*keys.LocalSigner
	for _, side := range sides {
		seed := sha256.Sum256([]byte(side.String()))
		master, err := hdkeychain.NewMaster(seed[:], &chaincfg.RegressionNetParams)
		if err != nil {
			panic(err)
		}
		if both[side], err = keys.NewLocalSigner(master, 1, keys.Sequential); err != nil {
			panic(err)
		}
	}
	return both
})

func newChannel(t require.TestingT, capacity btcutil.Amount, dustLimits [2]btcutil.Amount) *bolt3.Channel {
	channel := &bolt3.Channel{
		Outpoint: wire.OutPoint{Hash: chainhash.HashH([]byte("funding")), Index: 1}, Capacity: capacity,
	}
	for _, side := range sides {
		party := &channel.Parties[side]
		var err error
		party.Basepoints, err = signers()[side].Basepoints(channelIndex)
		require.NoError(t, err)
		party.FundingKey, err = signers()[side].FundingKey(fundingIndex)
		require.NoError(t, err)
		party.DustLimit = dustLimits[side]
		party.ToSelfDelay = 144 + uint16(side)*600
	}
	return channel
}

func commit(t require.TestingT, channel *bolt3.Channel, side bolt3.Side, spec bolt3.Spec) *bolt3.Commitment {
	point, err := signers()[side].CommitmentPoint(channelIndex, spec.Number)
	require.NoError(t, err)
	commitment, err := channel.Commitment(side, spec, point)
	require.NoError(t, err)
	return commitment
}

func signOne(t require.TestingT, side bolt3.Side, request keys.SignRequest) lnwire.Sig {
	signatures, err := signers()[side].Sign([]keys.SignRequest{request})
	require.NoError(t, err)
	return signatures[0]
}

// countersign is what the countersigner sends for a commitment.
func countersign(t require.TestingT, commitment *bolt3.Commitment) (lnwire.Sig, []lnwire.Sig) {
	signatures, err := signers()[commitment.Broadcaster.Other()].Sign(
		commitment.CountersignRequests(fundingIndex, channelIndex))
	require.NoError(t, err)
	return signatures[0], signatures[1:]
}

// execute runs the scripts of one input as a node would that relays the transaction.
func execute(tx *wire.MsgTx, index int, spent *wire.TxOut) error {
	fetcher := txscript.NewCannedPrevOutputFetcher(spent.PkScript, spent.Value)
	engine, err := txscript.NewEngine(spent.PkScript, tx, index, txscript.StandardVerifyFlags, nil,
		txscript.NewTxSigHashes(tx, fetcher), spent.Value, fetcher)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return engine.Execute()
}

func preimageOf(id uint64) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("preimage"), id))
}

// newHTLC makes an HTLC whose preimage is preimageOf(secret).
func newHTLC(id uint64, direction bolt3.Direction, amount lnwire.MilliSatoshi, secret uint64, expiry uint32) bolt3.HTLC {
	preimage := preimageOf(secret)
	return bolt3.HTLC{
		ID: id, Direction: direction, Amount: amount, PaymentHash: sha256.Sum256(preimage[:]), Expiry: expiry,
	}
}

// state is any state that a channel can be in, with its channel.
type state struct {
	channel *bolt3.Channel
	spec    bolt3.Spec // as the broadcaster sees it
	side    bolt3.Side // the broadcaster
}

var anyState = rapid.Custom(func(t *rapid.T) state {
	// Amounts cluster around the dust limits and around each other, where the cases are.
	small := rapid.Uint64Range(0, 2_000_000)
	amount := rapid.OneOf(small, rapid.Uint64Range(0, 50_000_000), rapid.SampledFrom([]uint64{353_999, 354_000, 1_000_000}))
	dust := rapid.SampledFrom([]btcutil.Amount{354, 546, 1000})
	s := state{side: rapid.SampledFrom(sides).Draw(t, "broadcaster")}
	s.spec.Number = rapid.Uint64Range(0, keys.MaxCommitments-1).Draw(t, "number")
	s.spec.FeeRate = fees.SatPerKW(rapid.OneOf(rapid.Uint32Range(253, 5000), rapid.Uint32Range(0, 250_000)).Draw(t, "rate"))
	var total lnwire.MilliSatoshi
	for i := range rapid.IntRange(0, 12).Draw(t, "htlcs") {
		htlc := newHTLC(uint64(i), rapid.SampledFrom([]bolt3.Direction{bolt3.Offered, bolt3.Received}).Draw(t, "direction"),
			lnwire.MilliSatoshi(amount.Draw(t, "amount")), rapid.Uint64Range(0, 2).Draw(t, "hash"),
			rapid.Uint32Range(500, 502).Draw(t, "expiry"))
		total += htlc.Amount
		s.spec.HTLCs = append(s.spec.HTLCs, htlc)
	}
	// The opener can always pay for the anchors; whether for the fee is open.
	openers := lnwire.MilliSatoshi(amount.Draw(t, "opener")) + lnwire.NewMSatFromSatoshis(bolt3.AnchorsCost)
	accepters := lnwire.MilliSatoshi(amount.Draw(t, "accepter"))
	if rest := (total + openers + accepters) % 1000; rest != 0 {
		openers += 1000 - rest
	}
	s.spec.ToBroadcaster, s.spec.ToCountersigner = openers, accepters
	if s.side == bolt3.Accepter {
		s.spec.ToBroadcaster, s.spec.ToCountersigner = accepters, openers
	}
	s.channel = newChannel(t, (total + openers + accepters).ToSatoshis(),
		[2]btcutil.Amount{dust.Draw(t, "opener's dust limit"), dust.Draw(t, "accepter's dust limit")})
	return s
})

// concurrently is a Parallel that lets the race detector see what runs at once.
func concurrently(n int, work func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}
