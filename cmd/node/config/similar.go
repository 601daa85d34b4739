package config

import "github.com/agnivade/levenshtein"

// typos is how many letters of a name may be missing, wrong or too many for it to be recognised.
const typos = 2

// didYouMean ends the sentence that a name is unknown, with the known one that it resembles, if one does.
func didYouMean(name string, known []string) string {
	nearest, least := "", typos+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(name, k); d < least {
			nearest, least = k, d
		}
	}
	if nearest == "" {
		return ""
	}
	return ": did you mean " + nearest + "?"
}
