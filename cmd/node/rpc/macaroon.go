package rpc

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/macaroon.v2"
)

// macaroons makes a macaroon for each role, and checks what clients send. Clients may have added caveats to it.
type macaroons struct {
	rootKey []byte
	admin   []byte // serialized
}

const (
	rootKeySize      = 32
	macaroonLocation = "stormcell"
	// idPrefix begins the id of a macaroon. Its role follows, a space, and chance.
	idPrefix = "stormcell/1 "
)

// Conditions of caveats, as lnd's clients add them.
const (
	caveatTimeBefore = "time-before"
	caveatIPAddr     = "ipaddr"
)

// openMacaroons loads the root key, and makes it and the macaroons in the directory where they are missing. Without the old
// key, old macaroons are worth nothing: deleting it and starting again revokes them.
func openMacaroons(dir string) (*macaroons, error) {
	keyPath := filepath.Join(dir, rootKeyFile)
	rootKey, err := os.ReadFile(keyPath)
	if errors.Is(err, os.ErrNotExist) {
		rootKey = make([]byte, rootKeySize)
		_, _ = rand.Read(rootKey) // it does not fail
		err = os.WriteFile(keyPath, rootKey, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("macaroon key: %w", err)
	}
	if len(rootKey) != rootKeySize {
		return nil, fmt.Errorf("macaroon key: %s has %d bytes, want %d", keyPath, len(rootKey), rootKeySize)
	}
	m := &macaroons{rootKey: rootKey}
	for r, file := range map[role]string{admin: MacaroonFile, readonly: readonlyMacaroonFile, invoice: invoiceMacaroonFile} {
		made, err := m.open(filepath.Join(dir, file), r)
		if err != nil {
			return nil, fmt.Errorf("macaroon: %w", err)
		}
		if r == admin {
			m.admin = made
		}
	}
	return m, nil
}

// open loads a role's macaroon, or makes it if there is none that is good.
func (m *macaroons) open(path string, r role) ([]byte, error) {
	serialized, err := os.ReadFile(path)
	if err == nil {
		if of, err := m.check(hex.EncodeToString(serialized), nil, time.Now()); err == nil && of == r {
			return serialized, nil
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if serialized, err = m.bake(r); err != nil {
		return nil, err
	}
	return serialized, os.WriteFile(path, serialized, 0o600)
}

func (m *macaroons) bake(r role) ([]byte, error) {
	chance := make([]byte, 16)
	_, _ = rand.Read(chance)
	id := idPrefix + string(r) + " " + hex.EncodeToString(chance)
	baked, err := macaroon.New(m.rootKey, []byte(id), macaroonLocation, macaroon.LatestVersion)
	if err != nil {
		return nil, err
	}
	return baked.MarshalBinary()
}

// check gives the role of a macaroon, in hexadecimal digits, or tells why it is not good for a call from an address at a
// time.
func (m *macaroons) check(token string, from net.Addr, now time.Time) (role, error) {
	serialized, err := hex.DecodeString(token)
	if err != nil {
		return "", errors.New("the macaroon is not in hexadecimal digits")
	}
	var presented macaroon.Macaroon
	if err := presented.UnmarshalBinary(serialized); err != nil {
		return "", fmt.Errorf("the macaroon cannot be read: %w", err)
	}
	err = presented.Verify(m.rootKey, func(caveat string) error { return checkCaveat(caveat, from, now) }, nil)
	if err != nil {
		return "", err
	}
	id, known := strings.CutPrefix(string(presented.Id()), idPrefix)
	name, _, _ := strings.Cut(id, " ")
	switch r := role(name); {
	case !known:
	case r == admin, r == readonly, r == invoice:
		return r, nil
	}
	return "", errors.New("the macaroon is of an unknown kind")
}

func checkCaveat(caveat string, from net.Addr, now time.Time) error {
	condition, value, _ := strings.Cut(caveat, " ")
	switch condition {
	case caveatTimeBefore:
		end, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("caveat %q: %w", caveat, err)
		}
		if !now.Before(end) {
			return errors.New("macaroon has expired")
		}
		return nil
	case caveatIPAddr:
		tcp, ok := from.(*net.TCPAddr)
		if !ok || !tcp.IP.Equal(net.ParseIP(value)) {
			return errors.New("macaroon is locked to another IP address")
		}
		return nil
	default:
		return fmt.Errorf("caveat %q is not known", caveat)
	}
}
