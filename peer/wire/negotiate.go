package wire

import (
	"fmt"
	"strings"
)

// FeatureProblem says why two nodes' features do not go together.
type FeatureProblem string

const (
	// FeatureUnknown: the peer requires what we do not offer.
	FeatureUnknown FeatureProblem = "the peer requires features that we do not have"
	// FeatureMissing: we require what the peer does not offer.
	FeatureMissing FeatureProblem = "the peer lacks features that we require"
	// FeatureDependency: the peer sets a feature without one that it builds on.
	FeatureDependency FeatureProblem = "features are set without what they depend on"
)

// FeatureError says which features keep two nodes apart. The connection must be closed (BOLT 1, "The `init` Message").
type FeatureError struct {
	Problem  FeatureProblem
	Features []Feature
}

func (e *FeatureError) Error() string {
	names := make([]string, len(e.Features))
	for i, f := range e.Features {
		names[i] = f.String()
	}
	return fmt.Sprintf("%s: %s", e.Problem, strings.Join(names, ", "))
}

// Negotiated is what two connected nodes can do with each other. A feature is negotiated if both offer it, or if we
// require it (BOLT 1, "The `init` Message").
type Negotiated struct {
	UpfrontShutdownScript bool
	GossipQueries         bool
	GossipQueriesEx       bool
	BasicMPP              bool
	LargeChannels         bool // funding of 2^24 sat and more
	Anchors               bool
	RouteBlinding         bool
	ShutdownAnySegwit     bool
	DualFund              bool
	Quiescence            bool
	AttributionData       bool
	OnionMessages         bool
	ProvideStorage        bool
	ScidAlias             bool
	ZeroConf              bool
	SimpleClose           bool
	Splicing              bool

	// Assumed of every node by BOLT 9, and so always true: they are here for those who gate on them.
	StaticRemoteKey bool
	ChannelTypes    bool

	// Ours and Theirs are the vectors this was made from.
	Ours, Theirs Features
}

// Negotiate compares our features with a peer's. The error is a *FeatureError.
func Negotiate(ours, theirs Features) (Negotiated, error) {
	if err := theirs.CheckDependencies(); err != nil {
		return Negotiated{}, err
	}
	if unknown := requiredBut(theirs, ours); len(unknown) > 0 {
		return Negotiated{}, &FeatureError{Problem: FeatureUnknown, Features: unknown}
	}
	if missing := requiredBut(ours, theirs); len(missing) > 0 {
		return Negotiated{}, &FeatureError{Problem: FeatureMissing, Features: missing}
	}
	both := func(f Feature) bool { return ours.Requires(f) || ours.Offers(f) && theirs.Offers(f) }
	return Negotiated{
		UpfrontShutdownScript: both(UpfrontShutdownScript),
		GossipQueries:         both(GossipQueries),
		GossipQueriesEx:       both(GossipQueriesEx),
		BasicMPP:              both(BasicMPP),
		LargeChannels:         both(LargeChannels),
		Anchors:               both(Anchors),
		RouteBlinding:         both(RouteBlinding),
		ShutdownAnySegwit:     both(ShutdownAnySegwit),
		DualFund:              both(DualFund),
		Quiescence:            both(Quiescence),
		AttributionData:       both(AttributionData),
		OnionMessages:         both(OnionMessages),
		ProvideStorage:        both(ProvideStorage),
		ScidAlias:             both(ScidAlias),
		ZeroConf:              both(ZeroConf),
		SimpleClose:           both(SimpleClose),
		Splicing:              both(Splicing),
		StaticRemoteKey:       true,
		ChannelTypes:          true,
		Ours:                  ours,
		Theirs:                theirs,
	}, nil
}

// DefaultFeatures are the bits every Stormcell node sets in init: what any node has is required, as other nodes do, and
// what the channel protocol here rests on is offered. What a node serves beyond that (splicing, storage for peers) it
// adds by With.
func DefaultFeatures() Features {
	return Features{}.
		Require(DataLossProtect, VarOnionOptin, StaticRemoteKey, PaymentSecret, ChannelTypes).
		With(UpfrontShutdownScript, GossipQueries, BasicMPP, LargeChannels, Anchors, ShutdownAnySegwit, ScidAlias,
			ZeroConf, SimpleClose)
}

// requiredBut lists the features that one node requires and the other neither offers nor is assumed to have.
// A required bit may be one this package has no name for.
func requiredBut(requires, offers Features) []Feature {
	var lacking []Feature
	for n := 0; n < len(requires.bitmap)*8; n += 2 {
		if !requires.Bit(n) || offers.Bit(n) || offers.Bit(n+1) {
			continue
		}
		if f := Feature(n); !features[f].assumed {
			lacking = append(lacking, f)
		}
	}
	return lacking
}
