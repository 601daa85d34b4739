package onion

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkBuild1(b *testing.B)  { benchmarkBuild(b, 1) }
func BenchmarkBuild20(b *testing.B) { benchmarkBuild(b, 20) }

func benchmarkBuild(b *testing.B, hops int) {
	route := through(hops, Payload{Amount: 1, Expiry: 1, Payment: &PaymentData{Total: 1}})
	b.ReportAllocs()
	for b.Loop() {
		_, err := Build(sessionKey(1), route, testHash)
		require.NoError(b, err)
	}
}

func BenchmarkPeel(b *testing.B) {
	packet, err := Build(sessionKey(1), through(1, Payload{Amount: 1, Expiry: 1}), testHash)
	require.NoError(b, err)
	ecdh := ecdhOf(privateOf(0))
	b.ReportAllocs()
	for b.Loop() {
		_, err := Peel(ecdh, packet[:], testHash)
		require.NoError(b, err)
	}
}
