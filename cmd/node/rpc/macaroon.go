package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/peer"
	"gopkg.in/macaroon-bakery.v2/bakery"
	"gopkg.in/macaroon-bakery.v2/bakery/checkers"
	"gopkg.in/macaroon.v2"
)

// macaroons bakes macaroons, and checks what clients send. They have lnd's form: what a macaroon allows stands in its id, as
// the bakery library writes it, so lnd's tools show it. Clients may have added caveats.
type macaroons struct {
	keys    *keyring
	checker *bakery.Checker
	admin   []byte // serialized
}

const (
	macaroonLocation = "stormcell"
	// uriEntity is the entity of a permission to call one method, which is its action.
	uriEntity = "uri"
	// maxMacaroonBytes is more than one with every permission there is has, and many caveats.
	maxMacaroonBytes = 16 << 10
)

var (
	errMacaroonVersion = errors.New("unknown macaroon version")
	errMacaroonID      = errors.New("invalid ID")
)

// openMacaroons loads the keys, and makes them and the roles' macaroons in the directory where they are missing.
func openMacaroons(dir string) (*macaroons, error) {
	keys, err := openKeyring(dir)
	if err != nil {
		return nil, err
	}
	caveats := checkers.New(nil)
	for condition, check := range map[string]checkers.Func{
		"ipaddr": checkIPAddress, "iprange": checkIPRange, "lnd-custom": refuseCustom,
	} {
		caveats.Register(condition, checkers.StdNamespace, check)
	}
	m := &macaroons{keys: keys}
	m.checker = bakery.NewChecker(bakery.CheckerParams{
		Checker: caveats, MacaroonVerifier: &verifier{Oven: m.oven(0), keys: keys}, Logger: quiet{},
	})
	for r, file := range map[role]string{admin: MacaroonFile, readonly: readonlyMacaroonFile, invoice: invoiceMacaroonFile} {
		made, err := m.open(filepath.Join(dir, file), allowed[r])
		if err != nil {
			return nil, fmt.Errorf("macaroon: %w", err)
		}
		if r == admin {
			m.admin = made
		}
	}
	return m, nil
}

// open loads a role's macaroon, or makes it if there is none that allows just what the role may.
func (m *macaroons) open(path string, permissions []permission) ([]byte, error) {
	serialized, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		has, err := m.granted(serialized)
		if err == nil && has == len(permissions) && m.check(context.Background(), serialized, permissions, "") == nil {
			return serialized, nil
		}
	}
	if serialized, err = m.bake(0, permissions); err != nil {
		return nil, err
	}
	return serialized, writeDurably(path, serialized, 0o600)
}

// granted is how many permissions a macaroon has that was made from one of our keys. Its caveats may not hold.
func (m *macaroons) granted(serialized []byte) (int, error) {
	presented, err := parseMacaroon(serialized)
	if err != nil {
		return 0, err
	}
	ops, _, err := m.oven(0).VerifyMacaroon(context.Background(), macaroon.Slice{presented})
	return len(ops), err
}

// good tells whether a macaroon allows anything at all to who sends it now.
func (m *macaroons) good(ctx context.Context, serialized []byte) bool {
	presented, err := parseMacaroon(serialized)
	if err != nil {
		return false
	}
	allows, err := m.checker.Auth(macaroon.Slice{presented}).Allowed(ctx)
	return err == nil && len(allows.OpIndexes) > 0
}

// bake makes a macaroon from the key of a number, which is made if there is none.
func (m *macaroons) bake(key uint64, permissions []permission) ([]byte, error) {
	baked, err := m.oven(key).NewMacaroon(context.Background(), bakery.LatestVersion, nil, operations(permissions)...)
	if err != nil {
		return nil, err
	}
	return baked.M().MarshalBinary()
}

// oven bakes with the key of a number, and verifies with any.
func (m *macaroons) oven(key uint64) *bakery.Oven {
	store := numbered{m.keys, key}
	return bakery.NewOven(bakery.OvenParams{
		Location: macaroonLocation, RootKeyStoreForOps: func([]bakery.Op) bakery.RootKeyStore { return store },
	})
}

// check tells why a serialized macaroon neither has all of the permissions, one or more, nor allows the method by name. The
// context has the caller's address.
func (m *macaroons) check(ctx context.Context, serialized []byte, permissions []permission, method string) error {
	presented, err := parseMacaroon(serialized)
	if err != nil {
		return err
	}
	auth := m.checker.Auth(macaroon.Slice{presented})
	if len(permissions) > 0 { // no operation at all would be allowed to anybody
		if _, err := auth.Allow(ctx, operations(permissions)...); err == nil {
			return nil
		}
	}
	_, err = auth.Allow(ctx, bakery.Op{Entity: uriEntity, Action: method})
	return err
}

func parseMacaroon(serialized []byte) (*macaroon.Macaroon, error) {
	presented := &macaroon.Macaroon{}
	if len(serialized) > maxMacaroonBytes {
		return nil, fmt.Errorf("a macaroon of %d bytes is too large", len(serialized))
	}
	if err := presented.UnmarshalBinary(serialized); err != nil {
		return nil, fmt.Errorf("the macaroon cannot be read: %w", err)
	}
	if presented.Version() != macaroon.V2 {
		return nil, fmt.Errorf("%w: %v", errMacaroonVersion, presented.Version())
	}
	if len(presented.Id()) == 0 {
		return nil, errMacaroonID
	}
	return presented, nil
}

func operations(permissions []permission) []bakery.Op {
	ops := make([]bakery.Op, len(permissions))
	for i, p := range permissions {
		ops[i].Entity, ops[i].Action, _ = strings.Cut(string(p), ":")
	}
	return ops
}

// verifier takes the macaroons that the oven makes, and those of the first version: their id is "stormcell/1 ", the role, a
// space, and chance.
type verifier struct {
	*bakery.Oven
	keys *keyring
}

const firstVersionID = "stormcell/1 "

// VerifyMacaroon implements bakery.MacaroonVerifier.
func (v *verifier) VerifyMacaroon(ctx context.Context, ms macaroon.Slice) ([]bakery.Op, []string, error) {
	id, first := strings.CutPrefix(string(ms[0].Id()), firstVersionID)
	if !first {
		if ms[0].Id()[0] != byte(bakery.Version3) {
			return nil, nil, &bakery.VerificationError{Reason: errMacaroonID}
		}
		return v.Oven.VerifyMacaroon(ctx, ms)
	}
	key, err := v.keys.key(0)
	if err != nil {
		return nil, nil, err
	}
	conditions, err := ms[0].VerifySignature(key, ms[1:])
	if err != nil {
		return nil, nil, &bakery.VerificationError{Reason: err}
	}
	name, _, _ := strings.Cut(id, " ")
	return operations(allowed[role(name)]), conditions, nil
}

// checkIPAddress holds the caveat that ties a macaroon to an address.
func checkIPAddress(ctx context.Context, _, address string) error {
	if from := callerIP(ctx); from == nil || !from.Equal(net.ParseIP(address)) {
		return errors.New("macaroon locked to different IP address")
	}
	return nil
}

// checkIPRange holds the caveat that ties a macaroon to a network.
func checkIPRange(ctx context.Context, _, network string) error {
	_, in, err := net.ParseCIDR(network)
	if err != nil {
		return fmt.Errorf("unable to parse macaroon IP range: %w", err)
	}
	if from := callerIP(ctx); from == nil || !in.Contains(from) {
		return errors.New("macaroon locked to different IP range")
	}
	return nil
}

// refuseCustom: lnd leaves such a caveat to a middleware, of which there is none here.
func refuseCustom(_ context.Context, _, custom string) error {
	name, _, _ := strings.Cut(custom, " ")
	return fmt.Errorf("cannot accept macaroon with custom caveat '%s', no middleware registered to handle it", name)
}

// callerIP is where a call comes from; nil is not known.
func callerIP(ctx context.Context) net.IP {
	if caller, ok := peer.FromContext(ctx); ok {
		if tcp, ok := caller.Addr.(*net.TCPAddr); ok {
			return tcp.IP
		}
	}
	return nil
}

// quiet logs nothing: the daemon logs each call and how it ended.
type quiet struct{}

func (quiet) Infof(context.Context, string, ...any)  {}
func (quiet) Debugf(context.Context, string, ...any) {}
