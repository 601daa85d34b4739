package ctl

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/btcsuite/btcd/btcutil"

	"stormcell/cmd/node/fault"
)

// units are how many satoshis are in what people say.
var units = []struct {
	name string
	sat  int64
}{
	{"mbtc", 1e5}, {"btc", 1e8}, {"sat", 1}, // a name comes before those that it ends with
}

// parseAmount reads an amount with its unit, as 250000sat, 2.5mbtc or 0.0025btc. It has whole satoshis, and is not negative.
func parseAmount(text string) (btcutil.Amount, error) {
	lower := strings.ToLower(strings.ReplaceAll(text, "_", ""))
	for _, unit := range units {
		number, found := strings.CutSuffix(lower, unit.name)
		if !found {
			continue
		}
		return toSat(strings.TrimSpace(number), unit.sat)
	}
	return 0, errors.New("say the unit: 250000sat, 2.5mbtc or 0.0025btc")
}

func toSat(number string, unit int64) (btcutil.Amount, error) {
	if strings.Trim(number, "0123456789.") != "" || len(number) > 30 {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	value.Mul(value, new(big.Rat).SetInt64(unit))
	switch {
	case !value.IsInt():
		return 0, errors.New("there is nothing smaller than 1sat")
	case value.Cmp(new(big.Rat).SetInt64(btcutil.MaxSatoshi)) > 0:
		return 0, errors.New("there are only 21000000btc")
	}
	return btcutil.Amount(value.Num().Int64()), nil
}

// amountArgument is parseAmount for something on the command line.
func amountArgument(name, text string) (btcutil.Amount, error) {
	amount, err := parseAmount(text)
	if err != nil {
		return 0, fault.New(fault.Usage, fmt.Errorf("%s %q: %w", name, text, err), "")
	}
	return amount, nil
}

// amountFlag is parseAmount for a flag; empty is nothing.
func amountFlag(name, text string) (btcutil.Amount, error) {
	if text == "" {
		return 0, nil
	}
	return amountArgument("--"+name, text)
}

// sat shows satoshis with their unit.
func sat(amount int64) string { return grouped(amount) + " sat" }

// msat shows millisatoshis, in satoshis with a fraction where they have one.
func msat(amount int64) string {
	fraction := amount % 1000
	if fraction == 0 {
		return sat(amount / 1000)
	}
	return fmt.Sprintf("%s.%03d sat", grouped(amount/1000), fraction)
}

// grouped shows a number with commas between thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
