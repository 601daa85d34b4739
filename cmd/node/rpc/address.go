package rpc

import (
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// addressOf is what pays to a script; empty if no address does.
func (l *lightning) addressOf(script []byte) string {
	_, addresses, _, err := txscript.ExtractPkScriptAddrs(script, l.server.o.Network.Params())
	if err != nil || len(addresses) != 1 {
		return ""
	}
	return addresses[0].EncodeAddress()
}

// address reads an address of this network. Its errors are for people.
func (s *Server) address(text string) (btcutil.Address, error) {
	params := s.o.Network.Params()
	address, err := btcutil.DecodeAddress(text, params)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no address on %s: %v", text, params.Name, err)
	}
	_, isKey := address.(*btcutil.AddressPubKey)
	if isKey || !address.IsForNet(params) {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no address on %s", text, params.Name)
	}
	return address, nil
}

// scriptOf is what pays to an address of this network. Its errors are for people.
func (l *lightning) scriptOf(text string) ([]byte, error) {
	address, err := l.server.address(text)
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "address %q: %v", text, err)
	}
	return script, nil
}

// parseTxid reads a transaction id as people write it: all of its digits.
func parseTxid(text string) (*chainhash.Hash, error) {
	if len(text) != hex.EncodedLen(chainhash.HashSize) {
		return nil, fmt.Errorf("a transaction id has %d hexadecimal digits, not %d", hex.EncodedLen(chainhash.HashSize), len(text))
	}
	return chainhash.NewHashFromStr(text)
}
