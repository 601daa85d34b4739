package address_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/peer/address"
)

const key = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1.2.3.4":              "1.2.3.4:9735",
		"1.2.3.4:1":            "1.2.3.4:1",
		"::1":                  "[::1]:9735",
		"[::1]":                "[::1]:9735",
		"[2001:db8::1]:65535":  "[2001:db8::1]:65535",
		"[::ffff:1.2.3.4]:10":  "1.2.3.4:10",
		"node.example.org":     "node.example.org:9735",
		"Node.Example.ORG.:10": "node.example.org:10",
		"localhost:9736":       "localhost:9736",
	} {
		got, err := address.Parse(text, address.MainnetPort)
		require.NoError(t, err, text)
		require.Equal(t, want, got.String())
		again, err := address.Parse(got.String(), 1)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ":", ":9735", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:x", "1.2.3.4:-1", "::1:9735:9735:z",
		"a b", "a..b", "-a.org", "a-.org", "http://example.org", "user@example.org", "exämple.org", "a/b:9735", "[::1", "1:2:3",
		strings.Repeat("a", 64) + ".org", strings.Repeat("a.", 127) + "org",
	} {
		_, err := address.Parse(text, address.MainnetPort)
		require.ErrorIs(t, err, address.ErrInvalid, text)
	}
	for _, text := range []string{"abcdefghij234567.onion", "ABC.Onion:9735", "abc.onion.:9735"} {
		_, err := address.Parse(text, address.MainnetPort)
		require.ErrorIs(t, err, address.ErrTor, text)
		require.ErrorContains(t, err, "not supported")
	}
}

func TestFromAnnounced(t *testing.T) {
	t.Parallel()
	got, err := address.FromAnnounced(&net.TCPAddr{IP: net.ParseIP("1.2.3.4"), Port: 9735})
	require.NoError(t, err)
	require.Equal(t, "1.2.3.4:9735", got.String())
	at, isIP := got.AddrPort()
	require.True(t, isIP)
	require.Equal(t, netip.MustParseAddrPort("1.2.3.4:9735"), at)

	got, err = address.FromAnnounced(&lnwire.DNSAddress{Hostname: "example.org", Port: 1})
	require.NoError(t, err)
	require.Equal(t, "example.org:1", got.String())
	_, isIP = got.AddrPort()
	require.False(t, isIP)

	for want, announced := range map[error]net.Addr{
		address.ErrTor:         &tor.OnionAddr{OnionService: "abc.onion", Port: 9735},
		address.ErrUnsupported: &lnwire.OpaqueAddrs{Payload: []byte{9, 9}},
		address.ErrInvalid:     &net.TCPAddr{IP: net.ParseIP("1.2.3.4")},
	} {
		_, err := address.FromAnnounced(announced)
		require.ErrorIs(t, err, want)
	}
}

func TestParseNode(t *testing.T) {
	t.Parallel()
	n, err := address.ParseNode(" "+key+"@1.2.3.4\n", address.SignetPort)
	require.NoError(t, err)
	require.Equal(t, key+"@1.2.3.4:39735", n.String())
	for _, text := range []string{
		key, key + "@", "@1.2.3.4", key[2:] + "@1.2.3.4", "zz" + key[2:] + "@1.2.3.4", "05" + key[2:] + "@1.2.3.4",
		"02" + strings.Repeat("f", 64) + "@1.2.3.4",
	} {
		_, err := address.ParseNode(text, address.MainnetPort)
		require.ErrorIs(t, err, address.ErrInvalid, text)
	}
	_, err = address.ParseNode(key+"@abc.onion", address.MainnetPort)
	require.ErrorIs(t, err, address.ErrTor)
}

func FuzzParseNode(f *testing.F) {
	for _, seed := range []string{key + "@1.2.3.4:9735", key + "@[::1]:1", key + "@a.b", "@", key + "@abc.onion:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := address.ParseNode(text, address.MainnetPort)
		if err != nil {
			return
		}
		again, err := address.ParseNode(n.String(), 1)
		require.NoError(t, err)
		require.Equal(t, n.String(), again.String())
	})
}

func port(n int) address.Address {
	return address.FromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("1.2.3.4"), uint16(n)))
}

func TestBookTriesWhatWorks(t *testing.T) {
	t.Parallel()
	var b address.Book
	_, ok := b.Next()
	require.False(t, ok)

	b.Announce([]address.Address{port(1), port(2)})
	b.AddUser(port(3))
	require.Equal(t, []address.Address{port(3), port(1), port(2)}, b.All())

	next := func() address.Address {
		a, ok := b.Next()
		require.True(t, ok)
		return a
	}
	for _, want := range []int{3, 1, 2, 3, 1, 2} { // each in its turn while all fail
		require.Equal(t, port(want), next())
		b.Failed(port(want))
	}
	b.Worked(port(2))
	require.Equal(t, port(2), next())

	b.Announce([]address.Address{port(2), port(4)})
	require.Equal(t, []address.Address{port(2), port(4), port(3)}, b.All(), "a user's address outlives announcements")
	b.Remove(port(3))
	require.NotContains(t, b.All(), port(3))
}

// Whatever is announced, a book stays small, has no address twice, and keeps what the user gave.
func TestBookIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b address.Book
		somewhere := rapid.Map(rapid.IntRange(1, 60), port)
		var users []address.Address
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				if a := somewhere.Draw(t, "user"); len(users) < address.MaxPerNode {
					b.AddUser(a)
					users = append(users, a)
				}
			case 1:
				b.Announce(rapid.SliceOfN(somewhere, 0, 40).Draw(t, "announced"))
			case 2:
				b.Failed(somewhere.Draw(t, "failed"))
			case 3:
				b.Worked(somewhere.Draw(t, "worked"))
			case 4:
				if a := somewhere.Draw(t, "removed"); !slices.Contains(users, a) {
					b.Remove(a)
				}
			}
			all := b.All()
			require.LessOrEqual(t, len(all), address.MaxPerNode)
			for i, a := range all {
				require.NotContains(t, all[i+1:], a)
			}
			for _, a := range users {
				require.Contains(t, all, a)
			}
			if next, ok := b.Next(); ok {
				require.Equal(t, all[0], next)
			}
		}
	})
}

func TestHostOf(t *testing.T) {
	t.Parallel()
	of := func(text string) string {
		return address.HostOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))).String()
	}
	require.Equal(t, "10.1.2.3/32", of("10.1.2.3:1"))
	require.Equal(t, of("10.1.2.3:1"), of("[::ffff:10.1.2.3]:2"), "one host, whatever the socket is")
	require.Equal(t, "2001:db8:1:2::/64", of("[2001:db8:1:2:3:4:5:6]:1"))
	require.Equal(t, of("[fe80::1%eth0]:1"), of("[fe80::1%eth1]:1"))
	require.Equal(t, netip.Prefix{}, address.HostOf(&net.UnixAddr{}))
}
