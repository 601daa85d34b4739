package wallet_test

import (
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/wallet"
)

var (
	regtest = &chaincfg.RegressionNetParams
	p2wkh   = append([]byte{0x00, 20}, make([]byte, 20)...)
	p2tr    = append([]byte{0x51, 32}, make([]byte, 32)...)
	p2wsh   = append([]byte{0x00, 32}, make([]byte, 32)...)
)

const tip = 1000

func TestSelectTakesTheSmallestCoinThatPays(t *testing.T) {
	t.Parallel()
	coins := []wallet.Coin{coin(1, 1_000_000), coin(2, 60_000), coin(3, 20_000), coin(4, 200_000)}
	got, err := wallet.Select(coins, nil, tip, regtest, payment(50_000))
	require.NoError(t, err)
	require.Equal(t, []wallet.Coin{coins[1]}, got.Inputs)
	require.EqualValues(t, 60_000-50_000-int64(got.Fee), got.Change)
}

func TestSelectTakesTheLargestCoinsWhenNoneIsEnough(t *testing.T) {
	t.Parallel()
	coins := []wallet.Coin{coin(1, 10_000), coin(2, 60_000), coin(3, 20_000), coin(4, 50_000)}
	got, err := wallet.Select(coins, nil, tip, regtest, payment(100_000))
	require.NoError(t, err)
	require.Equal(t, []wallet.Coin{coins[1], coins[3]}, got.Inputs)
}

func TestSelectGivesDustToTheFee(t *testing.T) {
	t.Parallel()
	got, err := wallet.Select([]wallet.Coin{coin(1, 50_400)}, nil, tip, regtest, payment(50_000))
	require.NoError(t, err)
	require.Zero(t, got.Change)
	require.EqualValues(t, 400, got.Fee)
}

func TestSelectLeavesAloneWhatMayNotBeSpent(t *testing.T) {
	t.Parallel()
	leased, unconfirmed, reward, worthless, good := coin(1, 90_000), coin(2, 90_000), coin(3, 90_000), coin(4, 50), coin(5, 90_000)
	unconfirmed.Height = 0
	reward.Coinbase, reward.Height = true, tip-98 // 99 confirmations
	coins := []wallet.Coin{leased, unconfirmed, reward, worthless, good}
	var leases wallet.Leases
	require.NoError(t, leases.Add("a channel", leased.OutPoint))

	got, err := wallet.Select(coins, &leases, tip, regtest, payment(50_000))
	require.NoError(t, err)
	require.Equal(t, []wallet.Coin{good}, got.Inputs)

	_, err = wallet.Select(coins[:4], &leases, tip, regtest, payment(50_000))
	require.Equal(t, btcutil.Amount(0), requireInsufficient(t, err).Available)

	risky := payment(50_000)
	risky.MinConfirmations = 0
	got, err = wallet.Select(coins[:4], &leases, tip, regtest, risky)
	require.NoError(t, err)
	require.Equal(t, []wallet.Coin{unconfirmed}, got.Inputs)

	got, err = wallet.Select([]wallet.Coin{reward}, nil, tip+1, regtest, payment(50_000))
	require.NoError(t, err, "it is mature one block later")
	require.Len(t, got.Inputs, 1)
}

func TestSelectSaysHowMuchIsMissing(t *testing.T) {
	t.Parallel()
	_, err := wallet.Select([]wallet.Coin{coin(1, 30_000), coin(2, 19_000)}, nil, tip, regtest, payment(49_000))
	missing := requireInsufficient(t, err)
	require.EqualValues(t, 49_000, missing.Available)
	require.Greater(t, missing.Needed, btcutil.Amount(49_000))
}

func TestSelectRefuses(t *testing.T) {
	t.Parallel()
	change := func(f func(*wallet.Payment)) wallet.Payment {
		p := payment(50_000)
		f(&p)
		return p
	}
	for name, c := range map[string]struct {
		payment wallet.Payment
		want    error
	}{
		"fee rate too low":  {change(func(p *wallet.Payment) { p.FeeRate = 252 }), wallet.ErrFeeRateOutOfBounds},
		"fee rate too high": {change(func(p *wallet.Payment) { p.FeeRate = 250_001 }), wallet.ErrFeeRateOutOfBounds},
		"no outputs":        {change(func(p *wallet.Payment) { p.Outputs = nil }), wallet.ErrNothingToPay},
		"dust":              {change(func(p *wallet.Payment) { p.Outputs[0].Value = 293 }), bolt3.ErrDustOutput},
		"no change script":  {change(func(p *wallet.Payment) { p.ChangeScript = nil }), wallet.ErrUnknownScript},
		"foreign change":    {change(func(p *wallet.Payment) { p.ChangeScript = p2wsh }), wallet.ErrUnknownScript},
	} {
		_, err := wallet.Select([]wallet.Coin{coin(1, 1_000_000)}, nil, tip, regtest, c.payment)
		require.ErrorIs(t, err, c.want, name)
	}
}

// TestSelectIsSound checks for any coins and payment that the sums are right, that the fee is what the rate asks for and hardly
// more, and that a refusal is right.
func TestSelectIsSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var coins []wallet.Coin
		var leases wallet.Leases
		for i, amount := range rapid.SliceOfN(rapid.Int64Range(0, 300_000), 0, 12).Draw(t, "coins") {
			c := coin(byte(i), btcutil.Amount(amount))
			c.Script = rapid.SampledFrom([][]byte{p2wkh, p2tr}).Draw(t, "script")
			coins = append(coins, c)
			if rapid.IntRange(0, 4).Draw(t, "leased") == 0 {
				require.NoError(t, leases.Add("x", c.OutPoint))
			}
		}
		p := wallet.Payment{
			FeeRate:          fees.SatPerKW(rapid.Uint32Range(253, 20_000).Draw(t, "fee rate")),
			ChangeScript:     rapid.SampledFrom([][]byte{p2wkh, p2tr}).Draw(t, "change"),
			MinConfirmations: 1,
		}
		for range rapid.IntRange(1, 3).Draw(t, "outputs") {
			script := rapid.SampledFrom([][]byte{p2wkh, p2tr, p2wsh}).Draw(t, "output")
			p.Outputs = append(p.Outputs, wire.NewTxOut(rapid.Int64Range(1000, 400_000).Draw(t, "value"), script))
		}
		got, err := wallet.Select(coins, &leases, tip, regtest, p)
		var paid btcutil.Amount
		for _, out := range p.Outputs {
			paid += btcutil.Amount(out.Value)
		}
		if err != nil {
			missing := requireInsufficient(t, err)
			require.Less(t, missing.Available, missing.Needed)
			return
		}
		var spent btcutil.Amount
		for i, c := range got.Inputs {
			spent += c.Amount
			require.False(t, leases.Held(c.OutPoint))
			require.False(t, slices.ContainsFunc(got.Inputs[:i], func(o wallet.Coin) bool { return o.OutPoint == c.OutPoint }))
		}
		require.Equal(t, spent, paid+got.Change+got.Fee)
		require.GreaterOrEqual(t, got.Fee, p.FeeRate.Fee(got.Weight))
		if got.Change == 0 {
			most := p.FeeRate.Fee(got.Weight+4*43) + bolt3.DustThreshold(p.ChangeScript)
			require.LessOrEqual(t, got.Fee, most, "what is given away is less than a change output and its cost")
		} else {
			require.Equal(t, p.FeeRate.Fee(got.Weight), got.Fee)
			require.GreaterOrEqual(t, got.Change, bolt3.DustThreshold(p.ChangeScript))
		}
		again, err := wallet.Select(coins, &leases, tip, regtest, p)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

func TestSweepLeavesNothing(t *testing.T) {
	t.Parallel()
	leased, dust := coin(3, 70_000), coin(4, 30)
	var leases wallet.Leases
	require.NoError(t, leases.Add("x", leased.OutPoint))
	p := payment(0)
	swept, selection, err := wallet.Sweep([]wallet.Coin{coin(1, 10_000), coin(2, 20_000), leased, dust}, &leases, tip, regtest, p, 0)
	require.NoError(t, err)
	require.Len(t, selection.Inputs, 2)
	require.Zero(t, selection.Change)
	require.Equal(t, p.FeeRate.Fee(selection.Weight), selection.Fee)
	require.EqualValues(t, 30_000-selection.Fee, swept.Outputs[0].Value)
	require.Zero(t, p.Outputs[0].Value, "the argument is not changed")

	swept, selection, err = wallet.Sweep([]wallet.Coin{coin(1, 10_000), coin(2, 20_000)}, nil, tip, regtest, p, 12_000)
	require.NoError(t, err)
	require.EqualValues(t, 12_000, selection.Change)
	require.EqualValues(t, 30_000-12_000-selection.Fee, swept.Outputs[0].Value)

	_, _, err = wallet.Sweep([]wallet.Coin{leased, dust}, &leases, tip, regtest, p, 0)
	requireInsufficient(t, err)
	_, _, err = wallet.Sweep([]wallet.Coin{coin(1, 500)}, &leases, tip, regtest, p, 0)
	missing := requireInsufficient(t, err)
	require.EqualValues(t, 500, missing.Available)
	require.Greater(t, missing.Needed, missing.Available)
	p.FeeRate = 1
	_, _, err = wallet.Sweep([]wallet.Coin{coin(1, 10_000)}, nil, tip, regtest, p, 0)
	require.ErrorIs(t, err, wallet.ErrFeeRateOutOfBounds)
	_, _, err = wallet.Sweep([]wallet.Coin{coin(1, 10_000)}, nil, tip, regtest, wallet.Payment{FeeRate: 500}, 0)
	require.ErrorIs(t, err, wallet.ErrNothingToPay)
}

func TestLeases(t *testing.T) {
	t.Parallel()
	a, b, c := coin(1, 1).OutPoint, coin(2, 1).OutPoint, coin(3, 1).OutPoint
	var leases wallet.Leases
	require.NoError(t, leases.Add("one", b, a))
	require.NoError(t, leases.Add("one", a), "again is no mistake")
	require.Equal(t, wallet.CoinLeasedError{OutPoint: b, For: "one"}, leases.Add("two", c, b))
	require.False(t, leases.Held(c), "all or none")
	require.Equal(t, []wire.OutPoint{a, b}, leases.Of("one"))
	leases.Release("one")
	require.NoError(t, leases.Add("two", b))
	require.False(t, leases.Held(a))
	leases.Release("unknown")
	require.True(t, leases.Held(b))
}

func TestBalanceCountsEachCoinOnce(t *testing.T) {
	t.Parallel()
	leased, unconfirmed, reward, confirmed := coin(1, 1), coin(2, 20), coin(3, 300), coin(4, 4000)
	unconfirmed.Height = 0
	reward.Coinbase, reward.Height = true, tip
	var leases wallet.Leases
	require.NoError(t, leases.Add("x", leased.OutPoint))
	balance := wallet.BalanceOf([]wallet.Coin{leased, unconfirmed, reward, confirmed}, &leases, tip, regtest)
	require.Equal(t, wallet.Balance{Confirmed: 4000, Unconfirmed: 20, Immature: 300, Leased: 1}, balance)
	require.EqualValues(t, 4321, balance.Total())
}

func coin(id byte, amount btcutil.Amount) wallet.Coin {
	return wallet.Coin{OutPoint: wire.OutPoint{Hash: [32]byte{id}}, Amount: amount, Script: p2wkh, Height: 900}
}

func payment(amount int64) wallet.Payment {
	return wallet.Payment{
		Outputs: []*wire.TxOut{wire.NewTxOut(amount, p2wkh)}, FeeRate: 500, ChangeScript: p2tr, MinConfirmations: 1,
	}
}

func requireInsufficient(t require.TestingT, err error) wallet.InsufficientFundsError {
	var missing wallet.InsufficientFundsError
	require.ErrorAs(t, err, &missing)
	return missing
}
