package ctl

import (
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseAmount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]btcutil.Amount{
		"0sat": 0, "1sat": 1, "250000sat": 250_000, "250_000 sat": 250_000, "2.5mbtc": 250_000, "0.0025btc": 250_000,
		"1BTC": 1e8, "21000000btc": btcutil.MaxSatoshi, "0.00000001btc": 1, ".5btc": 5e7, "1.sat": 1,
	} {
		got, err := parseAmount(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"": "unit", "250000": "unit", "1eur": "unit", "sat": "not a number", "1.5sat": "nothing smaller", "0.000000001btc": "nothing smaller",
		"21000000.00000001btc": "only 21000000btc", "-1sat": "not a number", "1e3sat": "not a number", "1/2btc": "not a number",
		"0x10sat": "not a number", "1,000sat": "not a number", "1.2.3btc": "not a number", "1 0btc": "not a number",
		"99999999999999999999999999999999sat": "not a number", "..btc": "not a number",
	} {
		_, err := parseAmount(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestAmountsAsTheyAreShown(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", -1000: "-1,000", 123456: "123,456", -999: "-999", 2_100_000_000_000_000: "2,100,000,000,000,000",
	} {
		require.Equal(t, want, grouped(n))
	}
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(0, btcutil.MaxSatoshi).Draw(t, "amount")
		for _, unit := range []btcutil.AmountUnit{btcutil.AmountSatoshi, btcutil.AmountBTC} {
			text := btcutil.Amount(amount).Format(unit)
			if unit == btcutil.AmountSatoshi {
				text = text[:len(text)-len(" Satoshi")] + "sat"
			}
			got, err := parseAmount(text)
			require.NoError(t, err, text)
			require.Equal(t, btcutil.Amount(amount), got)
		}
	})
}

func TestParseShortID(t *testing.T) {
	t.Parallel()
	id, err := parseShortID("830000x123x1")
	require.NoError(t, err)
	require.Equal(t, "830000x123x1", shortID(id))
	for _, text := range []string{"", "1x2", "1x2x3x4", "ax2x3", "16777216x0x0", "0x16777216x0", "0x0x65536", "-1x0x0", "1:2"} {
		_, err := parseShortID(text)
		require.ErrorContains(t, err, "is no channel", text)
	}
}
