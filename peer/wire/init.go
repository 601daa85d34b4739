package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/tlv"
)

// Init is the first message of both sides of a connection (BOLT 1, "The `init` Message").
type Init struct {
	// Features has both bitmaps of the message in one. It is written into the second.
	Features Features
	// Networks are the chains the sender is interested in, by genesis hash; empty if it does not say.
	Networks []chainhash.Hash
	// RemoteAddr is where the sender sees us; the zero value if it does not say, or if it says something that is not an
	// IP address.
	RemoteAddr netip.AddrPort
}

const (
	initNetworks   tlv.Type = 1
	initRemoteAddr tlv.Type = 3
)

// Address descriptors (BOLT 7, "The `node_announcement` Message").
const (
	descriptorIPv4 = 1
	descriptorIPv6 = 2
)

func (m *Init) fields(global, local *[]byte) []field {
	return []field{
		bytes16(global),
		bytes16(local),
		tail{
			{kind: initNetworks, value: m.networks, set: m.setNetworks},
			{kind: initRemoteAddr, value: m.remoteAddr, set: m.setRemoteAddr},
		},
	}
}

// Encode writes the message without its type.
func (m *Init) Encode(w *bytes.Buffer, _ uint32) error {
	local := m.Features.Bytes()
	return encode(w, m.fields(new([]byte), &local)...)
}

// Decode reads the message without its type.
func (m *Init) Decode(r io.Reader, _ uint32) error {
	var global, local []byte
	if err := decode(r, m.fields(&global, &local)...); err != nil {
		return err
	}
	m.Features = ParseFeatures(local).or(ParseFeatures(global))
	return nil
}

// MsgType is TypeInit.
func (m *Init) MsgType() MessageType { return TypeInit }

func (m *Init) networks() ([]byte, bool, error) {
	var value []byte
	for _, n := range m.Networks {
		value = append(value, n[:]...)
	}
	return value, len(value) > 0, nil
}

func (m *Init) setNetworks(value []byte) error {
	if len(value)%chainhash.HashSize != 0 {
		return fmt.Errorf("networks: %d bytes are no whole number of chain hashes", len(value))
	}
	for ; len(value) > 0; value = value[chainhash.HashSize:] {
		m.Networks = append(m.Networks, chainhash.Hash(value[:chainhash.HashSize]))
	}
	return nil
}

func (m *Init) remoteAddr() ([]byte, bool, error) {
	if !m.RemoteAddr.IsValid() {
		return nil, false, nil
	}
	ip := m.RemoteAddr.Addr().Unmap().WithZone("")
	value := []byte{descriptorIPv6}
	if ip.Is4() {
		value[0] = descriptorIPv4
	}
	value = append(value, ip.AsSlice()...)
	port := m.RemoteAddr.Port()
	return append(value, byte(port>>8), byte(port)), true, nil
}

// setRemoteAddr takes IP addresses of the right length. Anything else is no reason to part: the record is advice.
func (m *Init) setRemoteAddr(value []byte) error {
	ipv4 := len(value) == 7 && value[0] == descriptorIPv4
	ipv6 := len(value) == 19 && value[0] == descriptorIPv6
	if !ipv4 && !ipv6 {
		return nil
	}
	ip, _ := netip.AddrFromSlice(value[1 : len(value)-2])
	port := uint16(value[len(value)-2])<<8 | uint16(value[len(value)-1])
	m.RemoteAddr = netip.AddrPortFrom(ip.Unmap(), port)
	return nil
}
