package wire

import (
	"fmt"
	"slices"
	"strings"
)

// Feature is a pair of feature bits, named by the even one: bit f asks the peer to have it, bit f+1 offers it (BOLT 9).
type Feature int

// The features that this package knows (BOLT 9, "Assigned Feature Flags").
const (
	DataLossProtect       Feature = 0
	UpfrontShutdownScript Feature = 4
	GossipQueries         Feature = 6
	VarOnionOptin         Feature = 8
	GossipQueriesEx       Feature = 10
	StaticRemoteKey       Feature = 12
	PaymentSecret         Feature = 14
	BasicMPP              Feature = 16
	LargeChannels         Feature = 18
	Anchors               Feature = 22
	RouteBlinding         Feature = 24
	ShutdownAnySegwit     Feature = 26
	DualFund              Feature = 28
	Quiescence            Feature = 34
	AttributionData       Feature = 36
	OnionMessages         Feature = 38
	ProvideStorage        Feature = 42
	ChannelTypes          Feature = 44
	ScidAlias             Feature = 46
	PaymentMetadata       Feature = 48
	ZeroConf              Feature = 50
	SimpleClose           Feature = 60
	Splicing              Feature = 62
)

// featureInfo is a row of BOLT 9's table.
type featureInfo struct {
	name string
	// assumed: every node has it, whether it says so or not.
	assumed bool
	needs   []Feature
}

var features = map[Feature]featureInfo{
	DataLossProtect:       {name: "option_data_loss_protect", assumed: true},
	UpfrontShutdownScript: {name: "option_upfront_shutdown_script"},
	GossipQueries:         {name: "gossip_queries"},
	VarOnionOptin:         {name: "var_onion_optin", assumed: true},
	GossipQueriesEx:       {name: "gossip_queries_ex"},
	StaticRemoteKey:       {name: "option_static_remotekey", assumed: true},
	PaymentSecret:         {name: "payment_secret", assumed: true},
	BasicMPP:              {name: "basic_mpp", needs: []Feature{PaymentSecret}},
	LargeChannels:         {name: "option_support_large_channel"},
	Anchors:               {name: "option_anchors"},
	RouteBlinding:         {name: "option_route_blinding"},
	ShutdownAnySegwit:     {name: "option_shutdown_anysegwit"},
	DualFund:              {name: "option_dual_fund"},
	Quiescence:            {name: "option_quiesce"},
	AttributionData:       {name: "option_attribution_data"},
	OnionMessages:         {name: "option_onion_messages"},
	ProvideStorage:        {name: "option_provide_storage"},
	ChannelTypes:          {name: "option_channel_type", assumed: true},
	ScidAlias:             {name: "option_scid_alias"},
	PaymentMetadata:       {name: "option_payment_metadata"},
	ZeroConf:              {name: "option_zeroconf", needs: []Feature{ScidAlias}},
	SimpleClose:           {name: "option_simple_close", needs: []Feature{ShutdownAnySegwit}},
	Splicing:              {name: "option_splice"},
}

// String is the feature's name in BOLT 9, or its even bit.
func (f Feature) String() string {
	if info, ok := features[f]; ok {
		return info.name
	}
	return fmt.Sprintf("feature %d/%d", int(f), int(f)+1)
}

// Known reports whether this package knows what the feature is.
func (f Feature) Known() bool {
	_, ok := features[f]
	return ok
}

// Features is a feature vector. The zero value has none. A value never changes; With and Require return another.
type Features struct {
	bitmap []byte // bit i is bit i%8 of byte i/8; no trailing zero byte
}

// ParseFeatures reads a vector as messages carry it: big-endian, bit 0 last.
func ParseFeatures(wire []byte) Features {
	bitmap := slices.Clone(wire)
	slices.Reverse(bitmap)
	return trimmed(bitmap)
}

// Bytes is the vector as messages carry it, of minimal length.
func (v Features) Bytes() []byte {
	wire := slices.Clone(v.bitmap)
	slices.Reverse(wire)
	return wire
}

// With adds features as optional: the odd bits.
func (v Features) With(optional ...Feature) Features { return v.set(optional, 1) }

// Require adds features as required: the even bits. A peer that does not know one will close the connection.
func (v Features) Require(required ...Feature) Features { return v.set(required, 0) }

// Bit reports whether a single bit is set.
func (v Features) Bit(n int) bool {
	return n >= 0 && n/8 < len(v.bitmap) && v.bitmap[n/8]>>(n%8)&1 == 1
}

// Offers reports whether a feature is set, either way.
func (v Features) Offers(f Feature) bool { return v.Bit(int(f)) || v.Bit(int(f)+1) }

// Requires reports whether a feature's even bit is set. With both bits set it counts as required (BOLT 9).
func (v Features) Requires(f Feature) bool { return v.Bit(int(f)) }

// Bits lists the bits that are set, in increasing order.
func (v Features) Bits() []int {
	var bits []int
	for n := range len(v.bitmap) * 8 {
		if v.Bit(n) {
			bits = append(bits, n)
		}
	}
	return bits
}

// CheckDependencies refuses a vector that sets a feature without what it builds on (BOLT 9). Features that every node
// is assumed to have count as set. The error is a *FeatureError.
func (v Features) CheckDependencies() error {
	var unmet []Feature
	for f, info := range features {
		if !v.Offers(f) {
			continue
		}
		for _, need := range info.needs {
			if !v.Offers(need) && !features[need].assumed {
				unmet = append(unmet, f)
			}
		}
	}
	if len(unmet) == 0 {
		return nil
	}
	slices.Sort(unmet)
	return &FeatureError{Problem: FeatureDependency, Features: unmet}
}

// String lists the features by name, required ones first with a plus sign.
func (v Features) String() string {
	var names []string
	for n := 0; n < len(v.bitmap)*8; n += 2 {
		switch f := Feature(n); {
		case v.Bit(n):
			names = append(names, "+"+f.String())
		case v.Bit(n + 1):
			names = append(names, f.String())
		}
	}
	return strings.Join(names, " ")
}

func (v Features) set(fs []Feature, odd int) Features {
	bitmap := slices.Clone(v.bitmap)
	for _, f := range fs {
		n := int(f) + odd
		for len(bitmap) <= n/8 {
			bitmap = append(bitmap, 0)
		}
		bitmap[n/8] |= 1 << (n % 8)
	}
	return Features{bitmap: bitmap}
}

func (v Features) or(w Features) Features {
	bitmap := make([]byte, max(len(v.bitmap), len(w.bitmap)))
	copy(bitmap, v.bitmap)
	for i, b := range w.bitmap {
		bitmap[i] |= b
	}
	return trimmed(bitmap)
}

func trimmed(bitmap []byte) Features {
	for len(bitmap) > 0 && bitmap[len(bitmap)-1] == 0 {
		bitmap = bitmap[:len(bitmap)-1]
	}
	if len(bitmap) == 0 {
		return Features{}
	}
	return Features{bitmap: bitmap}
}
