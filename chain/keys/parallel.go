package keys

// Parallel calls work(0) to work(n-1), possibly at the same time, and returns when all have returned.
type Parallel func(n int, work func(i int))

// Sequential is the Parallel that uses one core.
func Sequential(n int, work func(i int)) {
	for i := range n {
		work(i)
	}
}
