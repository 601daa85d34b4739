// Package address has where nodes are: what users type, what nodes announce, and which to try first.
package address

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tor"
)

// Ports that nodes listen on if nothing else is said (BOLT 1, "Overview").
const (
	MainnetPort uint16 = 9735
	TestnetPort uint16 = 19735
	SignetPort  uint16 = 39735
)

// maxHostname is the size in bytes of the longest DNS name.
const maxHostname = 253

var (
	// ErrTor: the address is an onion service, which this node cannot reach.
	ErrTor = errors.New("onion addresses are not supported: this node connects over TCP only")
	// ErrUnsupported: the address is of a kind that this node does not know.
	ErrUnsupported = errors.New("address is of an unsupported kind")
	// ErrInvalid: the text is no address.
	ErrInvalid = errors.New("invalid address")
)

// Address is where a node listens: an IP address or a DNS name, and a TCP port. It is comparable.
type Address struct {
	ip   netip.Addr // invalid if host is set
	host string     // lower case; empty if ip is set
	port uint16
}

// FromAddrPort is the address of an IP address and a port.
func FromAddrPort(at netip.AddrPort) Address {
	return Address{ip: at.Addr().Unmap(), port: at.Port()}
}

// Parse reads host:port, or a host alone, which gets the given port. IPv6 addresses with a port stand in brackets. The
// error is ErrTor or wraps ErrInvalid.
func Parse(text string, defaultPort uint16) (Address, error) {
	if ip, err := netip.ParseAddr(unbracketed(text)); err == nil {
		return FromAddrPort(netip.AddrPortFrom(ip, defaultPort)), nil
	}
	if !strings.Contains(text, ":") {
		return fromHostname(text, defaultPort)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %q is not host:port", ErrInvalid, text)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return Address{}, fmt.Errorf("%w: port %q is not a number from 1 to 65535", ErrInvalid, port)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return FromAddrPort(netip.AddrPortFrom(ip, uint16(number))), nil
	}
	return fromHostname(host, uint16(number))
}

// unbracketed takes the brackets off an IPv6 address without a port.
func unbracketed(text string) string {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if inside, ok = strings.CutSuffix(inside, "]"); ok {
			return inside
		}
	}
	return text
}

// FromAnnounced takes an address from a node_announcement. The error is ErrTor, ErrUnsupported, or wraps ErrInvalid.
func FromAnnounced(announced net.Addr) (Address, error) {
	switch a := announced.(type) {
	case *net.TCPAddr:
		at := a.AddrPort()
		if !at.IsValid() || at.Port() == 0 {
			return Address{}, fmt.Errorf("%w: %v", ErrInvalid, announced)
		}
		return FromAddrPort(at), nil
	case *lnwire.DNSAddress:
		if a.Port == 0 {
			return Address{}, fmt.Errorf("%w: port 0", ErrInvalid)
		}
		return fromHostname(a.Hostname, a.Port)
	case *tor.OnionAddr:
		return Address{}, ErrTor
	default:
		return Address{}, ErrUnsupported
	}
}

// String is host:port, as Parse and a dialer take it.
func (a Address) String() string {
	host := a.host
	if host == "" {
		host = a.ip.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(a.port)))
}

// AddrPort is the IP address and port; it is false for a DNS name.
func (a Address) AddrPort() (netip.AddrPort, bool) {
	return netip.AddrPortFrom(a.ip, a.port), a.ip.IsValid()
}

func fromHostname(host string, port uint16) (Address, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.HasSuffix(host, ".onion") {
		return Address{}, ErrTor
	}
	if host == "" || len(host) > maxHostname {
		return Address{}, fmt.Errorf("%w: host name of %d characters", ErrInvalid, len(host))
	}
	for _, label := range strings.Split(host, ".") {
		if !isLabel(label) {
			return Address{}, fmt.Errorf("%w: %q is neither an IP address nor a host name", ErrInvalid, host)
		}
	}
	return Address{host: host, port: port}, nil
}

// isLabel reports whether a string is one part of a host name: up to 63 letters, digits, and hyphens within.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Node is a node and where it is.
type Node struct {
	Key     *btcec.PublicKey
	Address Address
}

// ParseNode reads key@host:port, as users hand it around; the port may be left out. Errors are as Parse's.
func ParseNode(text string, defaultPort uint16) (Node, error) {
	hexKey, host, found := strings.Cut(strings.TrimSpace(text), "@")
	if !found {
		return Node{}, fmt.Errorf("%w: want key@host:port", ErrInvalid)
	}
	serialized, err := hex.DecodeString(hexKey)
	if err != nil || len(serialized) != btcec.PubKeyBytesLenCompressed {
		return Node{}, fmt.Errorf("%w: a node's key is 66 hexadecimal digits", ErrInvalid)
	}
	key, err := btcec.ParsePubKey(serialized)
	if err != nil {
		return Node{}, fmt.Errorf("%w: node key: %w", ErrInvalid, err)
	}
	at, err := Parse(host, defaultPort)
	if err != nil {
		return Node{}, err
	}
	return Node{Key: key, Address: at}, nil
}

// String is key@host:port.
func (n Node) String() string {
	return hex.EncodeToString(n.Key.SerializeCompressed()) + "@" + n.Address.String()
}
