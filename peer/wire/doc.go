// Package wire is the one door to Lightning's peer messages: BOLT 1, 2 and 7 in, typed values out, and back.
//
// Most messages are lnd's lnwire types, aliased here. Those which lnwire lacks, or which it cannot carry as the BOLTs
// now have them (init with networks, closing_signed with fee_range, commitment_signed with funding_txid, long shutdown
// scripts), are this package's own and behave the same way.
//
// Decode is strict where lnwire is lenient: before lnwire sees a message, its shape is checked against BOLT 1, so an
// unknown even TLV, a TLV stream out of order, or a length that runs past the end is refused, and nothing is allocated
// on a length that the message only claims.
package wire
