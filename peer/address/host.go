package address

import (
	"net"
	"net/netip"
)

// HostOf is the network that counts as one host where hosts are bounded: an IPv4 address or an IPv6 /64. Addresses that are no IP
// count as one together.
func HostOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	prefix, _ := ip.WithZone("").Prefix(bits)
	return prefix
}
