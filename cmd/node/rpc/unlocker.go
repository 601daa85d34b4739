package rpc

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"stormcell/chain/wallet"
	"stormcell/messages/lnrpc"
)

// minPassphrase is the shortest passphrase in bytes, lnd's.
const minPassphrase = 8

// unlocker is lnd's WalletUnlocker.
type unlocker struct {
	lnrpc.UnimplementedWalletUnlockerServer
	server *Server
}

// GenSeed implements lnrpc.WalletUnlockerServer.
func (u *unlocker) GenSeed(ctx context.Context, r *lnrpc.GenSeedRequest) (*lnrpc.GenSeedResponse, error) {
	if err := u.server.unlocking.await(ctx); err != nil {
		return nil, err
	}
	defer u.server.unlocking.free()
	if u.server.states.now() != lnrpc.WalletState_NON_EXISTING {
		return nil, errWalletExists
	}
	s, err := wallet.NewSeed(time.Now())
	if err != nil {
		return nil, err
	}
	words, err := s.Words(r.AezeedPassphrase)
	if err != nil {
		return nil, err
	}
	return &lnrpc.GenSeedResponse{CipherSeedMnemonic: words}, nil
}

// InitWallet implements lnrpc.WalletUnlockerServer.
func (u *unlocker) InitWallet(ctx context.Context, r *lnrpc.InitWalletRequest) (*lnrpc.InitWalletResponse, error) {
	if err := u.server.unlocking.await(ctx); err != nil {
		return nil, err
	}
	defer u.server.unlocking.free()
	if u.server.states.now() != lnrpc.WalletState_NON_EXISTING {
		return nil, errWalletExists
	}
	if err := understood(r); err != nil {
		return nil, err
	}
	if len(r.WalletPassword) < minPassphrase {
		return nil, status.Errorf(codes.InvalidArgument, "password must have at least %d characters", minPassphrase)
	}
	s, err := wallet.RestoreSeed(r.CipherSeedMnemonic, r.AezeedPassphrase)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := wallet.SaveSeed(u.path(), s, r.WalletPassword); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	u.unlocked(s)
	return &lnrpc.InitWalletResponse{AdminMacaroon: u.server.macaroons.admin}, nil
}

// UnlockWallet implements lnrpc.WalletUnlockerServer.
func (u *unlocker) UnlockWallet(ctx context.Context, r *lnrpc.UnlockWalletRequest) (*lnrpc.UnlockWalletResponse, error) {
	if err := u.server.unlocking.await(ctx); err != nil {
		return nil, err
	}
	defer u.server.unlocking.free()
	switch u.server.states.now() {
	case lnrpc.WalletState_NON_EXISTING:
		return nil, errNoWallet
	case lnrpc.WalletState_LOCKED:
	default:
		return nil, errWalletUnlocked
	}
	if err := understood(r); err != nil {
		return nil, err
	}
	s, err := wallet.LoadSeed(u.path(), r.WalletPassword)
	if errors.Is(err, wallet.ErrWrongPassphrase) {
		return nil, errWrongPassphrase
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	u.unlocked(s)
	return &lnrpc.UnlockWalletResponse{}, nil
}

// TextWrongPassphrase is the answer to a wrong passphrase, in lnd's words: clients compare them.
const TextWrongPassphrase = "invalid passphrase for master public key"

var (
	errWalletExists    = status.Error(codes.Unknown, "wallet already exists")
	errWrongPassphrase = status.Error(codes.Unknown, TextWrongPassphrase)
)

func (u *unlocker) unlocked(s wallet.Seed) {
	u.server.states.set(lnrpc.WalletState_UNLOCKED)
	u.server.o.Unlocked(s)
}

// understood refuses a request that asks for more than this node does. A number of 0 asks for nothing: some clients send all
// that are so.
func understood(r proto.Message) error {
	for unknown := r.ProtoReflect().GetUnknown(); len(unknown) > 0; {
		number, kind, tag := protowire.ConsumeTag(unknown)
		_, _, field := protowire.ConsumeField(unknown)
		if err := protowire.ParseError(min(tag, field)); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if kind == protowire.BytesType || len(bytes.Trim(unknown[tag:field], "\x00")) > 0 {
			return status.Errorf(codes.Unimplemented, "this node does not do what field %d of %s asks for", number,
				r.ProtoReflect().Descriptor().FullName())
		}
		unknown = unknown[field:]
	}
	return nil
}

func (u *unlocker) path() string { return filepath.Join(u.server.o.Dir, seedFile) }

func fileExists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
