package rpc

import (
	"context"

	"stormcell/messages/lnrpc"
)

// FeeReport implements lnrpc.LightningServer. The node does not forward: it has earned nothing, and asks for nothing.
func (l *lightning) FeeReport(context.Context, *lnrpc.FeeReportRequest) (*lnrpc.FeeReportResponse, error) {
	return &lnrpc.FeeReportResponse{}, nil
}

// ForwardingHistory implements lnrpc.LightningServer. The node does not forward: there is nothing to list.
func (l *lightning) ForwardingHistory(
	_ context.Context, r *lnrpc.ForwardingHistoryRequest,
) (*lnrpc.ForwardingHistoryResponse, error) {
	return &lnrpc.ForwardingHistoryResponse{LastOffsetIndex: r.IndexOffset}, nil
}
