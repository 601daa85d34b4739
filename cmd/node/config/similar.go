package config

// typos is how many letters may be wrong in a name for it to be recognised.
const typos = 2

// didYouMean ends the sentence that a name is unknown, with the known one that it resembles, if one does.
func didYouMean(name string, known []string) string {
	nearest, least := "", typos+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			nearest, least = k, d
		}
	}
	if nearest == "" {
		return ""
	}
	return ": did you mean " + nearest + "?"
}

// distance is how many letters must be added, taken away or changed to make one name of the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // row[j] is the distance of b[:j] from as much of a as was looked at
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
