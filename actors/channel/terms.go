package channel

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	"stormcell/peer/wire"
)

const (
	// largeChannel needs option_support_large_channel (BOLT 2, "The `open_channel` Message").
	largeChannel btcutil.Amount = 1 << 24
	// smallestDustLimit is the least that both sides can relay (BOLT 3, "Dust Limits").
	smallestDustLimit btcutil.Amount = 354
	// largestDustLimit keeps what a commitment leaves to miners small.
	largestDustLimit btcutil.Amount = 10_000
	// longestDelay and deepest are the most blocks we let a peer make us wait.
	longestDelay uint16 = 2016
	deepest      uint32 = 144
	// fewestHTLCs is the least that makes a channel of use.
	fewestHTLCs uint16 = 5
)

// proposal is what `open_channel` and `accept_channel` have in common.
type proposal struct {
	terms       Terms
	fundingKey  *btcec.PublicKey
	basepoints  keys.Basepoints
	firstPoint  *btcec.PublicKey
	shutdown    []byte
	channelType []byte
}

func proposalOfOpen(m *wire.OpenChannel) proposal {
	return proposal{
		terms: Terms{
			DustLimit: m.DustLimit, MaxHTLCValueInFlight: m.MaxValueInFlight, Reserve: m.ChannelReserve,
			HTLCMinimum: m.HtlcMinimum, MaxAcceptedHTLCs: m.MaxAcceptedHTLCs, ToSelfDelay: m.CsvDelay,
		},
		fundingKey: m.FundingKey, firstPoint: m.FirstCommitmentPoint, shutdown: m.UpfrontShutdownScript,
		basepoints: keys.Basepoints{
			Revocation: m.RevocationPoint, HTLC: m.HtlcPoint, Payment: m.PaymentPoint, DelayedPayment: m.DelayedPaymentPoint,
		},
		channelType: typeBytes(m.ChannelType),
	}
}

func proposalOfAccept(m *wire.AcceptChannel) proposal {
	return proposal{
		terms: Terms{
			DustLimit: m.DustLimit, MaxHTLCValueInFlight: m.MaxValueInFlight, Reserve: m.ChannelReserve,
			HTLCMinimum: m.HtlcMinimum, MaxAcceptedHTLCs: m.MaxAcceptedHTLCs, ToSelfDelay: m.CsvDelay,
		},
		fundingKey: m.FundingKey, firstPoint: m.FirstCommitmentPoint, shutdown: m.UpfrontShutdownScript,
		basepoints: keys.Basepoints{
			Revocation: m.RevocationPoint, HTLC: m.HtlcPoint, Payment: m.PaymentPoint, DelayedPayment: m.DelayedPaymentPoint,
		},
		channelType: typeBytes(m.ChannelType),
	}
}

// ourTerms are what we lay down for a channel of that capacity.
func (p *Policy) ourTerms(capacity btcutil.Amount) Terms {
	return Terms{
		DustLimit: smallestDustLimit, MaxHTLCValueInFlight: msat(capacity), Reserve: max(capacity/100, largestDustLimit/10),
		HTLCMinimum: p.HTLCMinimum, MaxAcceptedHTLCs: p.MaxAcceptedHTLCs, ToSelfDelay: p.toSelfDelay(capacity),
	}
}

// toSelfDelay grows with what is at stake.
func (p *Policy) toSelfDelay(capacity btcutil.Amount) uint16 {
	return uint16(scaled(uint64(p.MinToSelfDelay), uint64(p.MaxToSelfDelay), capacity))
}

// minimumDepth grows with what a double-spend could win.
func (p *Policy) minimumDepth(capacity btcutil.Amount) uint32 {
	return uint32(scaled(uint64(p.MinDepth), uint64(p.MaxDepth), capacity))
}

// scaled goes from low to high as the capacity goes from nothing to a large channel's.
func scaled(low, high uint64, capacity btcutil.Amount) uint64 {
	return low + (high-low)*uint64(min(capacity, largeChannel))/uint64(largeChannel)
}

// channelType gives the feature bits of a channel's type: anchors, and on wish an alias in place of the real short id.
func channelType(scidAlias bool) []byte {
	t := wire.Features{}.Require(wire.StaticRemoteKey, wire.Anchors)
	if scidAlias {
		t = t.Require(wire.ScidAlias)
	}
	return t.Bytes()
}

// checkType tells whether we can have channels of a type (BOLT 2, "Defined Channel Types").
func checkType(channelTypeBits []byte, announce bool) error {
	switch {
	case len(channelTypeBits) == 0:
		return fmt.Errorf("%w: no channel_type", ErrTerms)
	case bytes.Equal(channelTypeBits, channelType(false)):
		return nil
	case bytes.Equal(channelTypeBits, channelType(true)) && !announce:
		return nil
	}
	return fmt.Errorf("%w: channel_type %s", ErrTerms, wire.ParseFeatures(channelTypeBits))
}

// typeBytes are the bits of a channel type as messages carry them; nil when there is none.
func typeBytes(t *lnwire.ChannelType) []byte {
	if t == nil {
		return nil
	}
	var buf bytes.Buffer
	if err := (*lnwire.RawFeatureVector)(t).EncodeBase256(&buf); err != nil {
		panic(fmt.Sprintf("channel: encode a channel type: %v", err)) // a bytes.Buffer takes everything
	}
	return buf.Bytes()
}

func wireType(bits []byte) *lnwire.ChannelType {
	v := lnwire.NewRawFeatureVector()
	for _, bit := range wire.ParseFeatures(bits).Bits() {
		v.Set(lnwire.FeatureBit(bit))
	}
	return (*lnwire.ChannelType)(v)
}

// checkProposal holds what the peer laid down against what we accept, with our own terms beside it.
func (p *Policy) checkProposal(peer *proposal, own *Terms, capacity btcutil.Amount, f bolt3.ShutdownFeatures) error {
	t := &peer.terms
	switch {
	case t.DustLimit < smallestDustLimit || t.DustLimit > largestDustLimit:
		return fmt.Errorf("%w: dust_limit_satoshis %d", ErrTerms, t.DustLimit)
	case t.Reserve < t.DustLimit || t.Reserve < own.DustLimit || own.Reserve < t.DustLimit:
		return fmt.Errorf("%w: a reserve is below a dust limit", ErrTerms)
	case t.Reserve > capacity/5:
		return fmt.Errorf("%w: channel_reserve_satoshis %d", ErrTerms, t.Reserve)
	case t.ToSelfDelay > longestDelay:
		return fmt.Errorf("%w: to_self_delay %d", ErrTerms, t.ToSelfDelay)
	case t.MaxAcceptedHTLCs > maxHTLCs || t.MaxAcceptedHTLCs < fewestHTLCs:
		return fmt.Errorf("%w: max_accepted_htlcs %d", ErrTerms, t.MaxAcceptedHTLCs)
	case t.HTLCMinimum > msat(capacity)/100:
		return fmt.Errorf("%w: htlc_minimum_msat %d", ErrTerms, uint64(t.HTLCMinimum))
	case t.MaxHTLCValueInFlight < msat(capacity)/100:
		return fmt.Errorf("%w: max_htlc_value_in_flight_msat %d", ErrTerms, uint64(t.MaxHTLCValueInFlight))
	}
	if len(peer.shutdown) > 0 {
		if err := bolt3.CheckShutdownScript(peer.shutdown, f); err != nil {
			return fmt.Errorf("%w: upfront_shutdown_script: %w", ErrTerms, err)
		}
	}
	return nil
}

// checkAmounts holds the first balances against fee and reserves (BOLT 2, "The `open_channel` Message").
func (p *Policy) checkAmounts(
	capacity btcutil.Amount, push wire.MilliSatoshi, rate fees.SatPerKW, reserve btcutil.Amount, f wire.Features,
) error {
	switch {
	case capacity < p.MinCapacity:
		return fmt.Errorf("%w: %d sat is less than the smallest channel here, %d sat", ErrTerms, capacity, p.MinCapacity)
	case capacity >= largeChannel && !f.Offers(wire.LargeChannels):
		return fmt.Errorf("%w: %d sat needs option_support_large_channel", ErrTerms, capacity)
	case capacity > btcutil.MaxSatoshi:
		return fmt.Errorf("%w: %d sat is more than there is", ErrTerms, capacity)
	case push > msat(capacity):
		return fmt.Errorf("%w: pushing %v of %d sat", ErrTerms, push, capacity)
	case rate < p.MinFeeRate || rate > p.MaxFeeRate:
		return fmt.Errorf("%w: %v", ErrFeeRate, rate)
	}
	opener, need := msat(capacity)-push, cost(rate, 0)
	if opener < need {
		return fmt.Errorf("%w: the opener has %v and the first commitment costs %v", ErrTerms, opener, need)
	}
	if opener-need <= msat(reserve) && push <= msat(reserve) {
		return fmt.Errorf("%w: neither side would have its reserve", ErrTerms)
	}
	return nil
}
