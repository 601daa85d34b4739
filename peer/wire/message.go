package wire

import "github.com/lightningnetwork/lnd/lnwire"

// Message is one peer message.
type Message = lnwire.Message

// MessageType is the number that opens a message (BOLT 1, "Lightning Message Format").
type MessageType = lnwire.MessageType

// Field types that messages are made of.
type (
	// ChannelID names a channel between two peers (BOLT 2, "Definition of `channel_id`").
	ChannelID = lnwire.ChannelID
	// ShortChannelID is the place of a funding output in the chain (BOLT 7).
	ShortChannelID = lnwire.ShortChannelID
	// MilliSatoshi is a thousandth of a satoshi.
	MilliSatoshi = lnwire.MilliSatoshi
	// Sig is a 64-byte signature.
	Sig = lnwire.Sig
)

// Messages as lnwire has them.
type (
	Warning                 = lnwire.Warning
	Error                   = lnwire.Error
	Ping                    = lnwire.Ping
	Pong                    = lnwire.Pong
	Stfu                    = lnwire.Stfu
	OpenChannel             = lnwire.OpenChannel
	AcceptChannel           = lnwire.AcceptChannel
	FundingCreated          = lnwire.FundingCreated
	FundingSigned           = lnwire.FundingSigned
	ChannelReady            = lnwire.ChannelReady
	UpdateAddHTLC           = lnwire.UpdateAddHTLC
	UpdateFulfillHTLC       = lnwire.UpdateFulfillHTLC
	UpdateFailHTLC          = lnwire.UpdateFailHTLC
	UpdateFailMalformedHTLC = lnwire.UpdateFailMalformedHTLC
	UpdateFee               = lnwire.UpdateFee
	RevokeAndAck            = lnwire.RevokeAndAck
	AnnouncementSignatures  = lnwire.AnnounceSignatures1
	ChannelAnnouncement     = lnwire.ChannelAnnouncement1
	NodeAnnouncement        = lnwire.NodeAnnouncement1
	ChannelUpdate           = lnwire.ChannelUpdate1
	QueryShortChannelIDs    = lnwire.QueryShortChanIDs
	ReplyShortChannelIDsEnd = lnwire.ReplyShortChanIDsEnd
	QueryChannelRange       = lnwire.QueryChannelRange
	ReplyChannelRange       = lnwire.ReplyChannelRange
	GossipTimestampFilter   = lnwire.GossipTimestampRange
)

// The types of the messages that this package speaks.
const (
	TypeWarning                 MessageType = 1
	TypeStfu                    MessageType = 2
	TypePeerStorage             MessageType = 7
	TypePeerStorageRetrieval    MessageType = 9
	TypeInit                    MessageType = 16
	TypeError                   MessageType = 17
	TypePing                    MessageType = 18
	TypePong                    MessageType = 19
	TypeOpenChannel             MessageType = 32
	TypeAcceptChannel           MessageType = 33
	TypeFundingCreated          MessageType = 34
	TypeFundingSigned           MessageType = 35
	TypeChannelReady            MessageType = 36
	TypeShutdown                MessageType = 38
	TypeClosingSigned           MessageType = 39
	TypeClosingComplete         MessageType = 40
	TypeClosingSig              MessageType = 41
	TypeTxAddInput              MessageType = 66
	TypeTxAddOutput             MessageType = 67
	TypeTxRemoveInput           MessageType = 68
	TypeTxRemoveOutput          MessageType = 69
	TypeTxComplete              MessageType = 70
	TypeTxSignatures            MessageType = 71
	TypeTxInitRBF               MessageType = 72
	TypeTxAckRBF                MessageType = 73
	TypeTxAbort                 MessageType = 74
	TypeSpliceLocked            MessageType = 77
	TypeSpliceInit              MessageType = 80
	TypeSpliceAck               MessageType = 81
	TypeStartBatch              MessageType = 127
	TypeUpdateAddHTLC           MessageType = 128
	TypeUpdateFulfillHTLC       MessageType = 130
	TypeUpdateFailHTLC          MessageType = 131
	TypeCommitSig               MessageType = 132
	TypeRevokeAndAck            MessageType = 133
	TypeUpdateFee               MessageType = 134
	TypeUpdateFailMalformedHTLC MessageType = 135
	TypeChannelReestablish      MessageType = 136
	TypeChannelAnnouncement     MessageType = 256
	TypeNodeAnnouncement        MessageType = 257
	TypeChannelUpdate           MessageType = 258
	TypeAnnouncementSignatures  MessageType = 259
	TypeQueryShortChannelIDs    MessageType = 261
	TypeReplyShortChannelIDsEnd MessageType = 262
	TypeQueryChannelRange       MessageType = 263
	TypeReplyChannelRange       MessageType = 264
	TypeGossipTimestampFilter   MessageType = 265
)

// Name is a message type's name in the BOLTs, such as "open_channel", or "unknown".
func Name(t MessageType) string {
	if k, ok := catalogue[t]; ok {
		return k.name
	}
	return "unknown"
}

// IsRouting reports whether a type belongs to BOLT 1's routing group: gossip and its queries. They bear on no channel,
// so a malformed one need not end a connection that carries channels. announcement_signatures is the exception: it is
// about one channel of the two peers.
func IsRouting(t MessageType) bool {
	return t >= 256 && t < 512 && t != TypeAnnouncementSignatures
}

// ChannelOf is the channel that a message is about: its channel_id, or temporary_channel_id while the channel is being
// opened. It is false for messages about no channel. In an error or a warning, an all-zero id means every channel.
func ChannelOf(m Message) (ChannelID, bool) {
	switch m := m.(type) {
	case *OpenChannel:
		return m.PendingChannelID, true
	case *AcceptChannel:
		return m.PendingChannelID, true
	case *FundingCreated:
		return m.PendingChannelID, true
	case *FundingSigned:
		return m.ChanID, true
	case *ChannelReady:
		return m.ChanID, true
	case *Error:
		return m.ChanID, true
	case *Warning:
		return m.ChanID, true
	case *AnnouncementSignatures:
		return m.ChannelID, true
	case interface{ TargetChanID() ChannelID }:
		return m.TargetChanID(), true
	}
	return ChannelID{}, false
}
