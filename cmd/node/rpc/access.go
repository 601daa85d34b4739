package rpc

import (
	"context"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// What calls are refused with at the wrong time. lnd's clients look for these texts, under the code Unknown.
const (
	TextNoWallet       = "wallet not created, create one to enable full RPC access"
	TextWalletLocked   = "wallet locked, unlock it to enable full RPC access"
	TextWalletUnlocked = "wallet already unlocked, WalletUnlocker service is no longer available"
	TextStarting       = "the RPC server is in the process of starting up, but not yet ready to accept calls"
)

var (
	errNoWallet       = status.Error(codes.Unknown, TextNoWallet)
	errWalletLocked   = status.Error(codes.Unknown, TextWalletLocked)
	errWalletUnlocked = status.Error(codes.Unknown, TextWalletUnlocked)
	errStarting       = status.Error(codes.Unknown, TextStarting)
	errTooMany        = status.Error(codes.ResourceExhausted, "too many calls at once, try again later")
)

// call is around every call: see late.
func (s *Server) call(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
) (err error) {
	defer s.finish(info.FullMethod, time.Now(), &err)
	if err := s.allow(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	if isOpenToAll(serviceOf(info.FullMethod)) {
		return admit(stream.Context(), s.crowdFor(info.IsServerStream), func(ctx context.Context) error {
			return handle(server, prompt{&streamOf{stream, ctx}, s.requestLimit})
		})
	}
	befriendCaller(stream.Context())
	slots := s.slotsFor(info.FullMethod, info.IsServerStream)
	if !slots.take() {
		return errTooMany
	}
	defer slots.free()
	return handle(server, prompt{stream, s.requestLimit})
}

// allow tells why a call may not be made: it is not its time, or the macaroon does not allow it.
func (s *Server) allow(ctx context.Context, method string) error {
	state := s.states.now()
	service := serviceOf(method)
	if _, known := needed[method]; !known && !isOpenToAll(service) {
		return unserved(method)
	}
	switch service {
	case lnrpc.State_ServiceDesc.ServiceName:
		return nil
	case lnrpc.WalletUnlocker_ServiceDesc.ServiceName:
		if state != lnrpc.WalletState_NON_EXISTING && state != lnrpc.WalletState_LOCKED {
			return errWalletUnlocked
		}
		return nil
	default:
		if method == lnrpc.Lightning_StopDaemon_FullMethodName { // needs no wallet
			return s.authorize(ctx, method)
		}
		switch state {
		case lnrpc.WalletState_NON_EXISTING:
			return errNoWallet
		case lnrpc.WalletState_LOCKED:
			return errWalletLocked
		case lnrpc.WalletState_UNLOCKED:
			return errStarting
		}
		return s.authorize(ctx, method)
	}
}

// serviceOf is the service of a method, which is "/package.Service/Method".
func serviceOf(method string) string {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return service
}

// isOpenToAll tells whether a service's calls need no macaroon.
func isOpenToAll(service string) bool {
	return service == lnrpc.State_ServiceDesc.ServiceName || service == lnrpc.WalletUnlocker_ServiceDesc.ServiceName
}

// RefusesMacaroon tells whether an answer is about the macaroon itself: its code, which is lnd's, does not tell.
func RefusesMacaroon(text string) bool {
	return slices.ContainsFunc([]string{
		"expected 1 macaroon", "the macaroon ", "unknown macaroon", "invalid ID", "cannot retrieve macaroon", "verification failed",
		"caveat ",
	}, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// authorize tells why the caller's macaroon does not allow a method. As lnd's, the answers have the code Unknown.
func (s *Server) authorize(ctx context.Context, method string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	tokens := md.Get("macaroon")
	if len(tokens) != 1 {
		return status.Errorf(codes.Unknown, "expected 1 macaroon, got %d", len(tokens))
	}
	serialized, err := hex.DecodeString(tokens[0])
	if err != nil {
		return status.Error(codes.Unknown, "the macaroon is not in hexadecimal digits")
	}
	if err := s.macaroons.check(ctx, serialized, needed[method], method); err != nil {
		return status.Error(codes.Unknown, err.Error())
	}
	return nil
}

// brief cuts what is said of a request that was large: many errors repeat what they are about.
func brief(err error) error {
	const most = 1000 // bytes
	s := status.Convert(err)
	if err == nil || len(s.Message()) <= most {
		return err
	}
	return status.Error(s.Code(), strings.ToValidUTF8(s.Message()[:most], "")+" ...")
}

// finish logs a call, and turns a panic into an answer.
func (s *Server) finish(method string, began time.Time, err *error) {
	if r := recover(); r != nil {
		s.log.Error("a call panicked", "method", method, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal error: the daemon's log says more")
	}
	*err = brief(*err)
	name := "unknown" // what a caller makes up is no label: there would be no end of them
	if s.methods[method] {
		name = strings.TrimPrefix(method, "/")
	}
	s.answered.WithLabelValues(name, status.Code(*err).String()).Inc()
	s.log.Debug("call", "method", method, "took", time.Since(began), "code", status.Code(*err).String())
}
