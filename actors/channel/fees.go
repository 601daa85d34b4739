package channel

import "stormcell/chain/fees"

// MaxCommitFeeRate is the most that we set for commitments by ourselves, 10 sat/vB: with anchors it has to get a commitment
// into mempools, and no further.
const MaxCommitFeeRate fees.SatPerKW = 2_500

// commitFeeRate is what a commitment should pay where the estimate is what it is.
func commitFeeRate(estimate, most fees.SatPerKW) fees.SatPerKW {
	return max(min(estimate, most), fees.Floor)
}

// worthChanging tells whether a fee rate is so far from the wanted one that the peer should be bothered: by a tenth.
func worthChanging(rate, wanted fees.SatPerKW) bool {
	apart := max(rate, wanted) - min(rate, wanted)
	return apart*10 > rate
}
