package ctl

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/cmd/node/fault"
	pb "stormcell/messages/channel"
)

func someKey() string {
	peer := nodeOf(2)
	return hex.EncodeToString(peer[:])
}

// widest is a channel whose description is as wide as one can be.
func widest(phase pb.Phase) channel.Info {
	return channel.Info{
		Peer: nodeOf(2), Private: true, Phase: phase, Outpoint: fundedBy(1), Capacity: 50 * btcutil.SatoshiPerBitcoin,
		Local: 25e11, Remote: 25e11, Scid: lnwire.NewShortChanIDFromInt(16_777_215<<40 | 12_345<<16 | 65_535),
	}
}

func TestChannelLists(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Contains(t, f.ok(t, "channels"), "no open channels")
	require.Contains(t, f.ok(t, "pending"), "no channels are being")
	require.Contains(t, f.ok(t, "closed"), "no channels were closed")

	small := channel.Info{
		Peer: nodeOf(3), Opener: true, Active: true, Phase: pb.Phase_NORMAL, Outpoint: fundedBy(2), Capacity: 1_000_000,
		Local: 996_000_000, Scid: lnwire.NewShortChanIDFromInt(110<<40 | 1<<16),
	}
	opening, forced := widest(pb.Phase_WAIT_CONFIRMED), widest(pb.Phase_CLOSING)
	opening.Confirmations, opening.ConfirmationsWanted = 1, 3
	forced.ClosedBy = chainhash.Hash{8}
	agreed, waiting := widest(pb.Phase_AGREED), widest(pb.Phase_CLOSING)
	agreed.ClosingTxs = []chainhash.Hash{{6}, {7}}
	f.channels = []channel.Info{small, widest(pb.Phase_NORMAL), opening, forced, agreed, waiting}
	require.Equal(t, `CHANNEL               STATE                   OURS         THEIRS  PEER
110x1x0               active               995,340              0  02f9308a01
16777215x12345x65535  down, private  2,500,000,000  2,499,999,340  02c6047f94
                      all            2,500,995,340  2,499,999,340
`, f.ok(t, "channels"))
	var listed struct {
		Channels []map[string]any `json:"channels"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "channels", "--json")), &listed))
	require.Len(t, listed.Channels, 2)
	require.Equal(t, fundedBy(2).String(), listed.Channels[0]["channel_point"])

	one := "    2,500,000,000 sat of 5,000,000,000 sat ours\n    channel " + fundedBy(1).String() + "\n    with    " + someKey() + "\n"
	require.Equal(t, "opening, 2 more confirmations\n"+one+
		"closing, unconfirmed\n"+one+"    closed by "+chainhash.Hash{7}.String()+"\n"+
		"closing, nothing published\n"+one+
		"closed by a commitment, waiting for the money\n"+one+"    closed by "+chainhash.Hash{8}.String()+"\n", f.ok(t, "pending"))

	f.closed = []channel.ClosedInfo{
		{Peer: nodeOf(2), Scid: widest(0).Scid, Capacity: 5e9, Kind: channel.NeverFunded, Height: 16_777_215, Settled: 25e11},
		{Peer: nodeOf(3), Scid: small.Scid, Capacity: 1e6, Kind: channel.ClosedTogether, Height: 400, Settled: 1_000_000},
	}
	require.Equal(t, `CHANNEL                     AT  CLOSED                 OURS  PEER
110x1x0                    400  together              1,000  02f9308a01
16777215x12345x65535  16777215  never funded  2,500,000,000  02c6047f94
`, f.ok(t, "closed"))
}

// TestOpenChannelShowsProgress opens a channel with a node that has to be connected first.
func TestOpenChannelShowsProgress(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	began := time.Time{}
	f.listed = func(f *fake) {
		if len(f.opened) == 0 {
			return
		}
		if began.IsZero() {
			began = time.Now()
		}
		c := widest(pb.Phase_WAIT_CONFIRMED)
		c.ConfirmationsWanted, c.Confirmations = 3, 2
		if time.Since(began) > 3*progressInterval/2 {
			c.Phase = pb.Phase_NORMAL
		}
		f.channels = []channel.Info{c}
	}
	out := f.ok(t, "openchannel", someKey()+"@127.0.0.1:9736", "0.01btc", "--push=1000sat", "--feerate=2", "--private",
		"--close-address="+witnessAddress)
	require.Equal(t, fmt.Sprintf("connected to 127.0.0.1:9736\nthe funding transaction is published; the channel will be\n    %s\n"+
		"waiting for 1 more confirmation\nthe channel is open\n", fundedBy(1)), out)
	require.Equal(t, []channel.OpenRequest{{
		Peer: nodeOf(2), Capacity: 1_000_000, Push: 1_000_000, FundingFeeRate: 500, Private: true, ShutdownScript: witnessScript,
	}}, f.opened)
	require.Len(t, f.connected, 1)

	out = f.ok(t, "openchannel", someKey()+"@127.0.0.1:9736", "20000sat", "--no-wait", "--json")
	require.Len(t, f.connected, 1, "it is connected already")
	var pending struct {
		Pending map[string]any `json:"chan_pending"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &pending))
	require.InEpsilon(t, 10, pending.Pending["output_index"], 0)
}

func TestOpenChannelRefusals(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.fails(t, fault.Usage, "is not a node's key", "openchannel", "02ee", "20000sat")
	f.fails(t, fault.Usage, "say the unit", "openchannel", someKey(), "20000")
	f.fails(t, fault.Usage, "say the unit", "openchannel", someKey(), "20000sat", "--push=5")
	f.fails(t, fault.Usage, "exclude each other", "openchannel", someKey(), "20000sat", "--feerate=5", "--conf-target=2")
	f.fails(t, fault.Usage, "port", "openchannel", someKey()+"@localhost:99999", "20000sat")
	f.fails(t, fault.Failed, "is no address on regtest", "openchannel", someKey(), "20000sat", "--close-address=home")
	f.openErr = channel.ErrPeerNotConnected
	f.fails(t, fault.Failed, "Connect to it with 'stormcell connect", "openchannel", someKey(), "20000sat")
	f.openErr = &channel.OpenError{Reason: "too small for me"}
	f.fails(t, fault.Failed, "too small for me", "openchannel", someKey(), "20000sat")
}

// TestOpenChannelCanBeLeft: Ctrl-C stops waiting, and says that the channel goes on.
func TestOpenChannelCanBeLeft(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.channels = []channel.Info{widest(pb.Phase_WAIT_CONFIRMED)}
	ctx, cancel := context.WithCancel(t.Context())
	f.listed = func(*fake) { time.AfterFunc(progressInterval/2, cancel) }
	var out bytes.Buffer
	err := f.runTo(ctx, &out, "openchannel", someKey(), "20000sat")
	require.ErrorContains(t, err, "the channel opens all the same")
	require.Contains(t, out.String(), "the funding transaction is published")
}

func TestClose(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := widest(pb.Phase_NORMAL)
	c.Connected, c.Active, c.Scid = true, true, lnwire.NewShortChanIDFromInt(110<<40|1<<16)
	f.channels = []channel.Info{c}
	closedBy := "closed by " + chainhash.Hash{9}.String() + "\n"
	require.Equal(t, closedBy, f.ok(t, "close", "110x1x0", "--address="+taprootAddress, "--conf-target=12"))
	require.Equal(t, closedBy, f.ok(t, "close", fundedBy(1).String(), "--force"))
	close(f.spent)
	require.Equal(t, closedBy+"waiting for a block that has it\n"+chainhash.Hash{9}.String()+" is in a block\n",
		f.ok(t, "close", "110x1x0", "--wait", "--feerate=7"))
	require.Equal(t, []channel.CloseRequest{
		{Script: taprootScript, ConfTarget: 12}, {Force: true}, {FeeRate: 1750},
	}, f.ended)
	require.Contains(t, f.ok(t, "close", "110x1x0", "--json", "--wait"), `"success": true`)

	f.fails(t, fault.Usage, "is no channel", "close", "here")
	f.fails(t, fault.Usage, "is not TXID:INDEX", "close", "12:0")
	f.fails(t, fault.Failed, "no open channel 111x1x0", "close", "111x1x0")
	f.fails(t, fault.Failed, "channel not found", "close", fundedBy(5).String())
	f.fails(t, fault.Failed, "pre-defined fee", "close", "110x1x0", "--force", "--feerate=2")
}

// TestCloseWhileThePeerIsAway does not wait for a peer that may never come back, unless it is told to.
func TestCloseWhileThePeerIsAway(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := widest(pb.Phase_NORMAL)
	c.Connected, c.Active, c.HTLCs, c.Scid = false, false, nil, lnwire.NewShortChanIDFromInt(110<<40|1<<16)
	f.channels = []channel.Info{c}
	out := f.ok(t, "close", "110x1x0")
	require.Contains(t, out, "the peer is not connected: the channel will close when it is back")
	require.Contains(t, out, "--force")
	require.Len(t, f.ended, 1)
	require.Contains(t, f.ok(t, "close", fundedBy(1).String(), "--json"), `"close_instant"`)
	close(f.spent)
	out = f.ok(t, "close", "110x1x0", "--wait")
	require.Contains(t, out, "when it is back")
	require.Contains(t, out, "is in a block")
	require.Contains(t, f.ok(t, "close", "110x1x0", "--force"), "closed by")
}
