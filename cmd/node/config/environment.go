package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// envPrefix stands before a setting's name in capitals.
const envPrefix = "STORMCELL_"

// serviceLink is a variable and its value as Kubernetes sets them in every container, beside a service called stormcell.
var serviceLink = regexp.MustCompile(`^STORMCELL_(SERVICE_(HOST|PORT)|PORT(=[a-z]+://|_[0-9]+_(TCP|UDP|SCTP)))`)

// variable is a setting's name in the environment.
func variable(setting string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(setting))
}

func fromEnvironment(fs *pflag.FlagSet) error {
	if err := checkEnvironment(os.Environ()); err != nil {
		return err
	}
	var failed error
	fs.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, there := os.LookupEnv(name)
		if !there || f.Changed || failed != nil {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
	})
	return failed
}

// checkEnvironment holds variables to what the file is held to: they may set what the present command has no flag for, but
// nothing unknown.
func checkEnvironment(environ []string) error {
	var known []string
	for _, setting := range settings() {
		known = append(known, variable(setting))
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || serviceLink.MatchString(entry) {
			continue
		}
		return fmt.Errorf("the environment has %s, and there is no such setting%s", name, didYouMean(name, known))
	}
	return nil
}
