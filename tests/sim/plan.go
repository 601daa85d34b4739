package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// ByChance is the plan of a seed with every kind of fault in it.
func ByChance(seed uint64) Plan {
	rng := rand.New(rand.NewPCG(seed, 0xfa0175))
	p := Plan{Seed: seed, Kills: rng.IntN(2) == 0, FailWrite: rng.IntN(4) == 0, Keep: Keep(rng.IntN(3))}
	at := 0
	for range rng.IntN(5) {
		// Some crashes come so soon after the last that they hit the recovery from it.
		if rng.IntN(2) == 0 {
			at += 1 + rng.IntN(12)
		} else {
			at += 1 + rng.IntN(300)
		}
		p.CrashAt = append(p.CrashAt, at)
	}
	return p
}

// EveryCrash runs the seed without faults, and then with a crash before every single move, each followed by a second crash
// soon after, while it recovers. It returns how many runs it made, and the first plan that failed with its result.
func EveryCrash(seed uint64, keep Keep, stride int, newDomain func(*rand.Rand) Domain) (runs int, failed *Plan, res Result) {
	base := Plan{Seed: seed, Keep: keep}
	res = Run(base, newDomain)
	if res.Err != nil {
		return 1, &base, res
	}
	runs = 1
	for at := 0; at < res.Moves; at += stride {
		p := Plan{Seed: seed, Keep: keep, CrashAt: []int{at, at + 1 + at%11}}
		r := Run(p, newDomain)
		if runs++; r.Err != nil {
			return runs, &p, r
		}
	}
	return runs, nil, res
}

// EveryPrefix crashes before every single move and keeps, in a run each, every prefix of the log that could be left.
func EveryPrefix(seed uint64, newDomain func(*rand.Rand) Domain) (runs int, failed *Plan, res Result) {
	res = Run(Plan{Seed: seed}, newDomain)
	for at := range res.Moves {
		for keep, last := KeepNothing, KeepNothing; keep <= last; keep++ {
			p := Plan{Seed: seed, Keep: keep, CrashAt: []int{at}}
			r := Run(p, newDomain)
			if runs++; r.Err != nil {
				return runs, &p, r
			}
			last = KeepNothing + Keep(r.AtStake)
		}
	}
	return runs, nil, res
}

// Shrink looks for a smaller plan that fails too: fewer faults, fewer operations.
func Shrink(p Plan, newDomain func(*rand.Rand) Domain) (Plan, Result) {
	best, res := p, Run(p, newDomain)
	try := func(smaller Plan) bool {
		r := Run(smaller, newDomain)
		if r.Err == nil || len(r.Trace) > len(res.Trace) {
			return false
		}
		best, res = smaller, r
		return true
	}
	for again := true; again; {
		again = false
		for i := range best.CrashAt {
			smaller := best
			smaller.CrashAt = slices.Delete(slices.Clone(best.CrashAt), i, i+1)
			if try(smaller) {
				again = true
				break
			}
		}
		for op := range newDomain(rand.New(rand.NewPCG(p.Seed, domainStream))).Ops() {
			smaller := best
			smaller.Drop = append(slices.Clone(best.Drop), op)
			if !slices.Contains(best.Drop, op) && try(smaller) {
				again = true
			}
		}
		for _, without := range []func(Plan) Plan{withoutKills, withoutFailures} {
			smaller := without(best)
			if (smaller.Kills != best.Kills || smaller.FailWrite != best.FailWrite) && try(smaller) {
				again = true
			}
		}
	}
	return best, res
}

func withoutKills(p Plan) Plan    { p.Kills = false; return p }
func withoutFailures(p Plan) Plan { p.FailWrite = false; return p }

// String is the plan as PLAN takes it in the environment, and ParsePlan reads it.
func (p Plan) String() string {
	return fmt.Sprintf("seed=%d,crash=%s,keep=%d,kills=%t,failwrite=%t,drop=%s,sabotage=%d",
		p.Seed, joined(p.CrashAt), p.Keep, p.Kills, p.FailWrite, joined(p.Drop), p.Sabotage)
}

// ParsePlan reads what String wrote.
func ParsePlan(s string) (Plan, error) {
	var p Plan
	for _, field := range strings.Split(s, ",") {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return p, fmt.Errorf("plan: %q has no value", field)
		}
		var err error
		switch name {
		case "seed":
			_, err = fmt.Sscan(value, &p.Seed)
		case "crash":
			p.CrashAt, err = split(value)
		case "keep":
			_, err = fmt.Sscan(value, &p.Keep)
		case "kills":
			_, err = fmt.Sscan(value, &p.Kills)
		case "failwrite":
			_, err = fmt.Sscan(value, &p.FailWrite)
		case "drop":
			p.Drop, err = split(value)
		case "sabotage":
			_, err = fmt.Sscan(value, &p.Sabotage)
		default:
			err = fmt.Errorf("unknown field")
		}
		if err != nil {
			return p, fmt.Errorf("plan: %q: %w", field, err)
		}
	}
	return p, nil
}

func joined(ns []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(ns), "[]"), " ", "+")
}

func split(s string) ([]int, error) {
	var out []int
	if s == "" {
		return nil, nil
	}
	for _, f := range strings.Split(s, "+") {
		var n int
		if _, err := fmt.Sscan(f, &n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// Report says what failed, where, what came before it, and how to see it again.
func (r Result) Report(p Plan, test string) string {
	tail := r.Trace[max(0, len(r.Trace)-60):]
	return fmt.Sprintf("seed %d, crashes before moves %v, keep %d: %v\nlast of %d trace lines of the shrunk run:\n  %s\nreplay with:\n  PLAN='%s' go test ./tests/sim -run '^%s$' -count=1 -v\n",
		p.Seed, p.CrashAt, p.Keep, r.Err, len(r.Trace), strings.Join(tail, "\n  "), p, test)
}
