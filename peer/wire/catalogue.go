package wire

// kind is what the codec knows about one message type.
type kind struct {
	name  string // in the BOLTs
	empty func() Message
	shape shape // nil for messages that check themselves
}

// of makes empty messages of one type.
func of[M any, P interface {
	*M
	Message
}]() func() Message {
	return func() Message { return P(new(M)) }
}

// Sizes in bytes of the field types of BOLT 1, "Fundamental Types".
const (
	chanID = 32
	hash   = 32
	point  = 33
	sig    = 64
	scid   = 8
	msat   = 8
	onion  = 1366
)

// catalogue lists every message this node speaks. Whoever is not in it is unknown. A shape that ends without an
// extension leaves what follows to lnwire or to nobody: error, warning, ping and pong may carry anything (BOLT 1 lets a
// receiver ignore it), and the tail of a gossip message is kept as it is, because signatures cover it.
var catalogue = map[MessageType]kind{
	TypeWarning:              {"warning", of[Warning](), shape{size(chanID), vector}},
	TypeStfu:                 {"stfu", of[Stfu](), shape{size(chanID + 1), extension()}},
	TypePeerStorage:          {"peer_storage", of[PeerStorage](), nil},
	TypePeerStorageRetrieval: {"peer_storage_retrieval", of[PeerStorageRetrieval](), nil},
	TypeInit:                 {"init", of[Init](), nil},
	TypeError:                {"error", of[Error](), shape{size(chanID), vector}},
	TypePing:                 {"ping", of[Ping](), shape{size(2), vector}},
	TypePong:                 {"pong", of[Pong](), shape{vector}},

	TypeOpenChannel: {"open_channel", of[OpenChannel](), shape{
		size(hash + chanID), sats, size(msat), sats, size(msat), sats, size(msat + 4 + 2 + 2 + 6*point + 1),
		extension(0),
	}},
	TypeAcceptChannel: {"accept_channel", of[AcceptChannel](), shape{
		size(chanID), sats, size(msat), sats, size(msat + 4 + 2 + 2 + 6*point), extension(0),
	}},
	TypeFundingCreated: {"funding_created", of[FundingCreated](), shape{size(chanID + hash + 2 + sig), extension()}},
	TypeFundingSigned:  {"funding_signed", of[FundingSigned](), shape{size(chanID + sig), extension()}},
	TypeChannelReady:   {"channel_ready", of[ChannelReady](), shape{size(chanID + point), extension()}},

	TypeShutdown:        {"shutdown", of[Shutdown](), nil},
	TypeClosingSigned:   {"closing_signed", of[ClosingSigned](), nil},
	TypeClosingComplete: {"closing_complete", of[ClosingComplete](), nil},
	TypeClosingSig:      {"closing_sig", of[ClosingSig](), nil},

	TypeTxAddInput:     {"tx_add_input", of[TxAddInput](), nil},
	TypeTxAddOutput:    {"tx_add_output", of[TxAddOutput](), nil},
	TypeTxRemoveInput:  {"tx_remove_input", of[TxRemoveInput](), nil},
	TypeTxRemoveOutput: {"tx_remove_output", of[TxRemoveOutput](), nil},
	TypeTxComplete:     {"tx_complete", of[TxComplete](), nil},
	TypeTxSignatures:   {"tx_signatures", of[TxSignatures](), nil},
	TypeTxInitRBF:      {"tx_init_rbf", of[TxInitRBF](), nil},
	TypeTxAckRBF:       {"tx_ack_rbf", of[TxAckRBF](), nil},
	TypeTxAbort:        {"tx_abort", of[TxAbort](), nil},

	TypeSpliceLocked: {"splice_locked", of[SpliceLocked](), nil},
	TypeSpliceInit:   {"splice_init", of[SpliceInit](), nil},
	TypeSpliceAck:    {"splice_ack", of[SpliceAck](), nil},

	TypeStartBatch: {"start_batch", of[StartBatch](), nil},
	TypeUpdateAddHTLC: {"update_add_htlc", of[UpdateAddHTLC](), shape{
		size(chanID + 8 + msat + hash + 4 + onion), extension(0),
	}},
	TypeUpdateFulfillHTLC: {"update_fulfill_htlc", of[UpdateFulfillHTLC](), shape{size(chanID + 8 + hash), extension()}},
	TypeUpdateFailHTLC:    {"update_fail_htlc", of[UpdateFailHTLC](), shape{size(chanID + 8), vector, extension()}},
	TypeCommitSig:         {"commitment_signed", of[CommitSig](), nil},
	TypeRevokeAndAck:      {"revoke_and_ack", of[RevokeAndAck](), shape{size(chanID + 32 + point), extension()}},
	TypeUpdateFee:         {"update_fee", of[UpdateFee](), shape{size(chanID + 4), extension()}},
	TypeUpdateFailMalformedHTLC: {"update_fail_malformed_htlc", of[UpdateFailMalformedHTLC](), shape{
		size(chanID + 8 + hash + 2), extension(),
	}},
	TypeChannelReestablish: {"channel_reestablish", of[ChannelReestablish](), nil},

	TypeChannelAnnouncement: {"channel_announcement", of[ChannelAnnouncement](), shape{
		size(4 * sig), vector, size(hash + scid + 4*point),
	}},
	TypeNodeAnnouncement: {"node_announcement", of[NodeAnnouncement](), shape{
		size(sig), vector, size(4 + point + 3 + 32), vector,
	}},
	TypeChannelUpdate: {"channel_update", of[ChannelUpdate](), shape{
		size(sig + hash + scid + 4 + 1 + 1 + 2 + msat + 4 + 4),
	}},
	TypeAnnouncementSignatures: {"announcement_signatures", of[AnnouncementSignatures](), shape{
		size(chanID + scid + 2*sig), extension(),
	}},

	TypeQueryShortChannelIDs: {"query_short_channel_ids", of[QueryShortChannelIDs](), shape{
		size(hash), scids, extension(),
	}},
	TypeReplyShortChannelIDsEnd: {"reply_short_channel_ids_end", of[ReplyShortChannelIDsEnd](), shape{
		size(hash + 1), extension(),
	}},
	TypeQueryChannelRange: {"query_channel_range", of[QueryChannelRange](), shape{size(hash + 4 + 4), extension()}},
	TypeReplyChannelRange: {"reply_channel_range", of[ReplyChannelRange](), shape{
		size(hash + 4 + 4 + 1), scids, extension(),
	}},
	// Types 2 and 4 are lnd's own, for a filter by height.
	TypeGossipTimestampFilter: {"gossip_timestamp_filter", of[GossipTimestampFilter](), shape{
		size(hash + 4 + 4), extension(2, 4),
	}},
}
