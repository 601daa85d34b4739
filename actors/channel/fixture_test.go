package channel

import (
	"crypto/sha256"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// user is who offers HTLCs to a channel and hears of them, and resolver who is told of the peer's.
const (
	user     durable.Address = "user/1"
	resolver durable.Address = "resolver/1"
)

func newSigner(t require.TestingT, seed byte) *keys.LocalSigner {
	secret := sha256.Sum256([]byte{seed})
	master, err := hdkeychain.NewMaster(secret[:], &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	signer, err := keys.NewLocalSigner(master, 1, keys.Sequential)
	require.NoError(t, err)
	return signer
}

func newCore(t require.TestingT, seed byte) *Core {
	return &Core{
		Signer: newSigner(t, seed), Policy: DefaultPolicy(),
		Resolver: func(*pb.IncomingHTLC) durable.Address { return resolver },
	}
}

// fixture describes a channel that is open. Index 0 of a pair is the opener.
type fixture struct {
	capacity btcutil.Amount
	pushed   btcutil.Amount
	feeRate  fees.SatPerKW
	terms    [2]Terms
	added    btcutil.Amount // by the opener, in a second funding that could replace the first; 0 for none
}

func newFixture() fixture {
	terms := Terms{
		DustLimit: 354, MaxHTLCValueInFlight: 900_000_000, Reserve: 10_000, HTLCMinimum: 1, MaxAcceptedHTLCs: 6,
		ToSelfDelay: 144,
	}
	f := fixture{capacity: 1_000_000, pushed: 400_000, feeRate: 2_500, terms: [2]Terms{terms, terms}}
	f.terms[1].DustLimit = 1_000
	return f
}

// commitments builds both sides' commitments, each with the other's signature.
func (f fixture) commitments(t require.TestingT, cores [2]*Core) [2]*Commitments {
	const keyIndex = 3
	var basepoints [2]keys.Basepoints
	var out [2]*Commitments
	for i, core := range cores {
		var err error
		basepoints[i], err = core.Signer.Basepoints(keyIndex)
		require.NoError(t, err)
	}
	outpoint := btcwire.OutPoint{Hash: chainhash.Hash(sha256.Sum256([]byte("funding"))), Index: 1}
	for i, core := range cores {
		other := 1 - i
		c := &Commitments{
			Contract: Contract{
				Opener: i == 0, KeyIndex: keyIndex, Terms: [2]Terms{f.terms[i], f.terms[other]},
				Basepoints: [2]keys.Basepoints{basepoints[i], basepoints[other]},
				ChannelID:  lnwire.NewChanIDFromOutPoint(outpoint),
			},
			FeeRate: f.feeRate, Revealed: keys.NewRevealedSecrets(),
		}
		copy(c.Peer[:], cores[other].Signer.NodeKey().SerializeCompressed())
		own, err := core.Signer.FundingKey(keyIndex)
		require.NoError(t, err)
		theirs, err := cores[other].Signer.FundingKey(keyIndex)
		require.NoError(t, err)
		c.RemotePoint, err = cores[other].Signer.CommitmentPoint(keyIndex, 0)
		require.NoError(t, err)
		c.RemoteNextPoint, err = cores[other].Signer.CommitmentPoint(keyIndex, 1)
		require.NoError(t, err)
		balance := [2]wire.MilliSatoshi{msat(f.capacity - f.pushed), msat(f.pushed)}
		c.Active = []*Commitment{{
			Funding: c.funding(outpoint, f.capacity, own, theirs), FundingKey: keyIndex,
			Balance: [2]wire.MilliSatoshi{balance[i], balance[other]},
		}}
		if f.added > 0 {
			second := btcwire.OutPoint{Hash: chainhash.Hash(sha256.Sum256([]byte("splice")))}
			a := &Commitment{Funding: c.funding(second, f.capacity+f.added, own, theirs), FundingKey: keyIndex, Balance: c.Active[0].Balance}
			a.Balance[c.pays()] += msat(f.added)
			c.Active = append(c.Active, a)
		}
		out[i] = c
	}
	for i, c := range out {
		for _, a := range c.Active {
			first, err := c.localCommitment(a, 0, localLatest, cores[i].Signer)
			require.NoError(t, err)
			signatures, err := cores[1-i].Signer.Sign(first.CountersignRequests(keyIndex, keyIndex))
			require.NoError(t, err)
			a.Signature = signatures[0]
		}
	}
	return out
}

// preimageFor gives the preimage of a tag, hashFor its hash.
func preimageFor(tag uint64) [32]byte { return sha256.Sum256(binaryTag(tag)) }

func hashFor(tag uint64) [32]byte {
	preimage := preimageFor(tag)
	return sha256.Sum256(preimage[:])
}

func binaryTag(tag uint64) []byte { b := seedBytes(tag); return b[:8] }

// newAdd is a request to offer an HTLC.
func newAdd(tag uint64, amount wire.MilliSatoshi) *pb.AddHTLC {
	hash := hashFor(tag)
	return &pb.AddHTLC{
		Tag: tag, AmountMsat: uint64(amount), PaymentHash: hash[:], Expiry: 700_000,
		Onion: make([]byte, lnwire.OnionPacketSize),
	}
}

func newFulfil(id uint64, preimage [32]byte) *pb.FulfillHTLC {
	return &pb.FulfillHTLC{Id: id, Preimage: preimage[:]}
}
