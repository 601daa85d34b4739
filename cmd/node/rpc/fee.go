package rpc

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/chain/fees"
)

// maxConfTarget is the most blocks for which backends estimate a fee rate.
const maxConfTarget = 1008

// feePreference reads how a client says what a transaction may cost: by a rate, or in how many blocks it is wanted. Zeros
// leave it to the node.
func feePreference(satPerVByte uint64, targetConf int32) (fees.SatPerKW, uint32, error) {
	switch highest := uint64(fees.Cap.ToVB()); {
	case satPerVByte != 0 && targetConf != 0:
		return 0, 0, status.Error(codes.InvalidArgument, "either sat_per_vbyte or target_conf can be set, but not both")
	case satPerVByte > highest:
		return 0, 0, status.Errorf(codes.InvalidArgument, "sat_per_vbyte: %d is above the highest fee rate, %d",
			satPerVByte, highest)
	case targetConf < 0 || targetConf > maxConfTarget:
		return 0, 0, status.Errorf(codes.InvalidArgument, "target_conf: %d is not between 1 and %d blocks",
			targetConf, maxConfTarget)
	case satPerVByte != 0:
		// One sat/vB is a little below what every node relays, and stands for the least.
		return fees.SatPerVB(satPerVByte).ToKW().Clamp(), 0, nil
	default:
		return 0, uint32(targetConf), nil
	}
}
