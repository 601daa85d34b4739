package wire_test

import (
	"net/netip"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"pgregory.net/rapid"

	"stormcell/peer/wire"
)

var (
	anyChan = rapid.Custom(func(t *rapid.T) wire.ChannelID { return wire.ChannelID(anyBytes(32).Draw(t, "chan")) })
	anyHash = rapid.Custom(func(t *rapid.T) chainhash.Hash { return chainhash.Hash(anyBytes(32).Draw(t, "hash")) })
	anyKey  = rapid.Custom(func(t *rapid.T) *btcec.PublicKey {
		secret := anyBytes(32).Draw(t, "secret")
		secret[0], secret[31] = 0, 1 // in the group's range, and not zero
		_, pub := btcec.PrivKeyFromBytes(secret)
		return pub
	})
	anySig = rapid.Custom(func(t *rapid.T) wire.Sig {
		s, err := lnwire.NewSigFromWireECDSA(anyBytes(64).Draw(t, "sig"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	anyAmount       = rapid.Map(rapid.Int64Range(0, btcutil.MaxSatoshi), toAmount)
	anyContribution = rapid.Map(rapid.Int64Range(-btcutil.MaxSatoshi, btcutil.MaxSatoshi), toAmount)
	anyFeatures     = rapid.Map(anyBlob(40), wire.ParseFeatures)
)

func toAmount(v int64) btcutil.Amount { return btcutil.Amount(v) }

func anyBytes(n int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), n, n) }

// anyBlob is a byte string of up to limit bytes, nil if it is empty.
func anyBlob(limit int) *rapid.Generator[[]byte] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, limit), func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		return b
	})
}

// some draws a value from g, and returns its address, or nil.
func some[V any](t *rapid.T, name string, g *rapid.Generator[V]) *V {
	if !rapid.Bool().Draw(t, name+" is there") {
		return nil
	}
	v := g.Draw(t, name)
	return &v
}

// many draws up to limit values, nil if there are none.
func many[V any](t *rapid.T, name string, limit int, g *rapid.Generator[V]) []V {
	if vs := rapid.SliceOfN(g, 0, limit).Draw(t, name); len(vs) > 0 {
		return vs
	}
	return nil
}

var anyProposal = rapid.Custom(func(t *rapid.T) wire.ClosingProposal {
	return wire.ClosingProposal{
		ChanID:       anyChan.Draw(t, "chan"),
		CloserScript: anyBlob(83).Draw(t, "closer"),
		CloseeScript: anyBlob(83).Draw(t, "closee"),
		Fee:          anyAmount.Draw(t, "fee"),
		LockTime:     rapid.Uint32().Draw(t, "locktime"),
		CloserOnly:   some(t, "closer only", anySig),
		CloseeOnly:   some(t, "closee only", anySig),
		Both:         some(t, "both", anySig),
	}
})

var anyFunding = rapid.Custom(func(t *rapid.T) wire.ReestablishFunding {
	return wire.ReestablishFunding{TxID: anyHash.Draw(t, "txid"), Retransmit: rapid.Byte().Draw(t, "flags")}
})

var anyWitness = rapid.Custom(func(t *rapid.T) btcwire.TxWitness {
	return many(t, "witness", 4, rapid.SliceOfN(rapid.Byte(), 0, 300))
})

// own makes messages of this package's own types.
var own = map[wire.MessageType]func(t *rapid.T) wire.Message{
	wire.TypeInit: func(t *rapid.T) wire.Message {
		m := &wire.Init{Features: anyFeatures.Draw(t, "features"), Networks: many(t, "networks", 3, anyHash)}
		port := rapid.Uint16().Draw(t, "port")
		switch rapid.IntRange(0, 2).Draw(t, "address") {
		case 1:
			m.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(anyBytes(4).Draw(t, "ip"))), port)
		case 2:
			m.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom16([16]byte(anyBytes(16).Draw(t, "ip"))).Unmap(), port)
		}
		return m
	},
	wire.TypePeerStorage: func(t *rapid.T) wire.Message {
		return &wire.PeerStorage{Blob: anyBlob(1000).Draw(t, "blob")}
	},
	wire.TypePeerStorageRetrieval: func(t *rapid.T) wire.Message {
		return &wire.PeerStorageRetrieval{Blob: anyBlob(1000).Draw(t, "blob")}
	},
	wire.TypeShutdown: func(t *rapid.T) wire.Message {
		return &wire.Shutdown{ChanID: anyChan.Draw(t, "chan"), Script: anyBlob(83).Draw(t, "script")}
	},
	wire.TypeClosingSigned: func(t *rapid.T) wire.Message {
		return &wire.ClosingSigned{
			ChanID: anyChan.Draw(t, "chan"), Fee: anyAmount.Draw(t, "fee"), Signature: anySig.Draw(t, "sig"),
			FeeRange: some(t, "range", rapid.Custom(func(t *rapid.T) wire.FeeRange {
				return wire.FeeRange{Min: anyAmount.Draw(t, "min"), Max: anyAmount.Draw(t, "max")}
			})),
		}
	},
	wire.TypeClosingComplete: func(t *rapid.T) wire.Message {
		return &wire.ClosingComplete{ClosingProposal: anyProposal.Draw(t, "proposal")}
	},
	wire.TypeClosingSig: func(t *rapid.T) wire.Message {
		return &wire.ClosingSig{ClosingProposal: anyProposal.Draw(t, "proposal")}
	},
	wire.TypeTxAddInput: func(t *rapid.T) wire.Message {
		return &wire.TxAddInput{
			ChanID: anyChan.Draw(t, "chan"), SerialID: rapid.Uint64().Draw(t, "serial"),
			PrevTx: anyBlob(1000).Draw(t, "prevtx"), PrevIndex: rapid.Uint32().Draw(t, "index"),
			Sequence: rapid.Uint32().Draw(t, "sequence"), SharedInput: some(t, "shared", anyHash),
		}
	},
	wire.TypeTxAddOutput: func(t *rapid.T) wire.Message {
		return &wire.TxAddOutput{
			ChanID: anyChan.Draw(t, "chan"), SerialID: rapid.Uint64().Draw(t, "serial"),
			Amount: anyAmount.Draw(t, "amount"), Script: anyBlob(100).Draw(t, "script"),
		}
	},
	wire.TypeTxRemoveInput: func(t *rapid.T) wire.Message {
		return &wire.TxRemoveInput{ChanID: anyChan.Draw(t, "chan"), SerialID: rapid.Uint64().Draw(t, "serial")}
	},
	wire.TypeTxRemoveOutput: func(t *rapid.T) wire.Message {
		return &wire.TxRemoveOutput{ChanID: anyChan.Draw(t, "chan"), SerialID: rapid.Uint64().Draw(t, "serial")}
	},
	wire.TypeTxComplete: func(t *rapid.T) wire.Message { return &wire.TxComplete{ChanID: anyChan.Draw(t, "chan")} },
	wire.TypeTxSignatures: func(t *rapid.T) wire.Message {
		return &wire.TxSignatures{
			ChanID: anyChan.Draw(t, "chan"), TxID: anyHash.Draw(t, "txid"),
			Witnesses: many(t, "witnesses", 3, anyWitness), SharedInput: some(t, "shared", anySig),
		}
	},
	wire.TypeTxInitRBF: func(t *rapid.T) wire.Message {
		return &wire.TxInitRBF{
			ChanID: anyChan.Draw(t, "chan"), LockTime: rapid.Uint32().Draw(t, "locktime"),
			FeeRate: rapid.Uint32().Draw(t, "feerate"), Contribution: some(t, "contribution", anyContribution),
			RequireConfirmedInputs: rapid.Bool().Draw(t, "confirmed"),
		}
	},
	wire.TypeTxAckRBF: func(t *rapid.T) wire.Message {
		return &wire.TxAckRBF{
			ChanID: anyChan.Draw(t, "chan"), Contribution: some(t, "contribution", anyContribution),
			RequireConfirmedInputs: rapid.Bool().Draw(t, "confirmed"),
		}
	},
	wire.TypeTxAbort: func(t *rapid.T) wire.Message {
		return &wire.TxAbort{ChanID: anyChan.Draw(t, "chan"), Data: anyBlob(100).Draw(t, "data")}
	},
	wire.TypeSpliceInit: func(t *rapid.T) wire.Message {
		return &wire.SpliceInit{
			ChanID: anyChan.Draw(t, "chan"), Contribution: anyContribution.Draw(t, "contribution"),
			FeeRate: rapid.Uint32().Draw(t, "feerate"), LockTime: rapid.Uint32().Draw(t, "locktime"),
			FundingKey: anyKey.Draw(t, "key"), RequireConfirmedInputs: rapid.Bool().Draw(t, "confirmed"),
		}
	},
	wire.TypeSpliceAck: func(t *rapid.T) wire.Message {
		return &wire.SpliceAck{
			ChanID: anyChan.Draw(t, "chan"), Contribution: anyContribution.Draw(t, "contribution"),
			FundingKey: anyKey.Draw(t, "key"), RequireConfirmedInputs: rapid.Bool().Draw(t, "confirmed"),
		}
	},
	wire.TypeSpliceLocked: func(t *rapid.T) wire.Message {
		return &wire.SpliceLocked{ChanID: anyChan.Draw(t, "chan"), TxID: anyHash.Draw(t, "txid")}
	},
	wire.TypeStartBatch: func(t *rapid.T) wire.Message {
		return &wire.StartBatch{
			ChanID: anyChan.Draw(t, "chan"), Size: rapid.Uint16().Draw(t, "size"),
			Of: some(t, "of", rapid.Map(rapid.Uint16(), func(v uint16) wire.MessageType { return wire.MessageType(v) })),
		}
	},
	wire.TypeCommitSig: func(t *rapid.T) wire.Message {
		return &wire.CommitSig{
			ChanID: anyChan.Draw(t, "chan"), CommitSig: anySig.Draw(t, "sig"), HtlcSigs: many(t, "sigs", 5, anySig),
			FundingTxID: some(t, "txid", anyHash),
		}
	},
	wire.TypeChannelReestablish: func(t *rapid.T) wire.Message {
		return &wire.ChannelReestablish{
			ChanID: anyChan.Draw(t, "chan"), NextCommitment: rapid.Uint64().Draw(t, "commitment"),
			NextRevocation: rapid.Uint64().Draw(t, "revocation"), LastSecret: [32]byte(anyBytes(32).Draw(t, "secret")),
			CurrentPoint: anyKey.Draw(t, "point"), NextFunding: some(t, "next", anyFunding),
			CurrentFundingLocked: some(t, "locked", anyFunding),
		}
	},
}

// borrowed makes messages of lnwire's types. Some carry records that this node does not know.
var borrowed = map[wire.MessageType]interface {
	RandTestMessage(t *rapid.T) lnwire.Message
}{
	wire.TypeWarning:                 new(wire.Warning),
	wire.TypeStfu:                    new(wire.Stfu),
	wire.TypeError:                   new(wire.Error),
	wire.TypePing:                    new(wire.Ping),
	wire.TypePong:                    new(wire.Pong),
	wire.TypeOpenChannel:             new(wire.OpenChannel),
	wire.TypeAcceptChannel:           new(wire.AcceptChannel),
	wire.TypeFundingCreated:          new(wire.FundingCreated),
	wire.TypeFundingSigned:           new(wire.FundingSigned),
	wire.TypeChannelReady:            new(wire.ChannelReady),
	wire.TypeUpdateAddHTLC:           new(wire.UpdateAddHTLC),
	wire.TypeUpdateFulfillHTLC:       new(wire.UpdateFulfillHTLC),
	wire.TypeUpdateFailHTLC:          new(wire.UpdateFailHTLC),
	wire.TypeUpdateFailMalformedHTLC: new(wire.UpdateFailMalformedHTLC),
	wire.TypeUpdateFee:               new(wire.UpdateFee),
	wire.TypeRevokeAndAck:            new(wire.RevokeAndAck),
	wire.TypeAnnouncementSignatures:  new(wire.AnnouncementSignatures),
	wire.TypeChannelAnnouncement:     new(wire.ChannelAnnouncement),
	wire.TypeNodeAnnouncement:        new(wire.NodeAnnouncement),
	wire.TypeChannelUpdate:           new(wire.ChannelUpdate),
	wire.TypeQueryShortChannelIDs:    new(wire.QueryShortChannelIDs),
	wire.TypeReplyShortChannelIDsEnd: new(wire.ReplyShortChannelIDsEnd),
	wire.TypeQueryChannelRange:       new(wire.QueryChannelRange),
	wire.TypeReplyChannelRange:       new(wire.ReplyChannelRange),
	wire.TypeGossipTimestampFilter:   new(wire.GossipTimestampFilter),
}
