package rpc

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"gopkg.in/macaroon.v2"
)

// macaroons makes the macaroon that allows everything, and checks what clients send. Clients may have added caveats to it.
type macaroons struct {
	rootKey []byte
	admin   []byte // serialized
}

const (
	rootKeySize      = 32
	macaroonLocation = "stormcell"
	// adminID begins the id of a macaroon that allows every call; chance follows it.
	adminID = "stormcell/1 admin "
)

// Conditions of caveats, as lnd's clients add them.
const (
	caveatTimeBefore = "time-before"
	caveatIPAddr     = "ipaddr"
)

// openMacaroons loads the root key and the admin macaroon, and makes what is missing. Without the old key, old macaroons
// are worth nothing: deleting both files and starting again revokes them.
func openMacaroons(keyPath, adminPath string) (*macaroons, error) {
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
	m.admin, err = os.ReadFile(adminPath)
	if err == nil && m.check(hex.EncodeToString(m.admin), nil, time.Now()) == nil {
		return m, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("macaroon: %w", err)
	}
	if m.admin, err = m.bake(); err != nil {
		return nil, fmt.Errorf("make a macaroon: %w", err)
	}
	if err := os.WriteFile(adminPath, m.admin, 0o600); err != nil {
		return nil, fmt.Errorf("make a macaroon: %w", err)
	}
	return m, nil
}

func (m *macaroons) bake() ([]byte, error) {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	baked, err := macaroon.New(m.rootKey, []byte(adminID+hex.EncodeToString(id)), macaroonLocation, macaroon.LatestVersion)
	if err != nil {
		return nil, err
	}
	return baked.MarshalBinary()
}

// check tells why a macaroon, in hexadecimal digits, does not allow a call from an address at a time.
func (m *macaroons) check(token string, from net.Addr, now time.Time) error {
	serialized, err := hex.DecodeString(token)
	if err != nil {
		return errors.New("the macaroon is not in hexadecimal digits")
	}
	var presented macaroon.Macaroon
	if err := presented.UnmarshalBinary(serialized); err != nil {
		return fmt.Errorf("the macaroon cannot be read: %w", err)
	}
	err = presented.Verify(m.rootKey, func(caveat string) error { return checkCaveat(caveat, from, now) }, nil)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(presented.Id(), []byte(adminID)) {
		return errors.New("the macaroon is of an unknown kind")
	}
	return nil
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
