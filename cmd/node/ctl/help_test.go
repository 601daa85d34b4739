package ctl

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"stormcell/cmd/node/fault"
)

// everyCommand calls back for each command, and those in it.
func everyCommand(of *cobra.Command, visit func(*cobra.Command)) {
	visit(of)
	for _, c := range of.Commands() {
		everyCommand(c, visit)
	}
}

// said is what the command line writes to stdout.
func said(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	root := Root()
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(args)
	require.NoError(t, root.ExecuteContext(t.Context()), args)
	return out.String()
}

// TestHelpOfEveryCommand: it fits a terminal, and shows how the command is used.
func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	everyCommand(Root(), func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		help := said(t, append(path, "--help")...)
		fits(t, help)
		require.Contains(t, help, "Usage:\n  "+c.CommandPath())
		require.NotEmpty(t, c.Example, c.CommandPath())
		require.NotContains(t, help, "string", "a flag says in `...` what it takes")
		require.Equal(t, help, said(t, append([]string{"help"}, path...)...))
	})
}

// quoted is an argument with spaces.
var quoted = regexp.MustCompile(`"[^"]*"`)

// TestExamples: what help shows is what the command line takes.
func TestExamples(t *testing.T) {
	t.Parallel()
	tried := 0
	everyCommand(Root(), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(quoted.ReplaceAllString(line, "text"), "#")
			for _, shell := range []string{"|", ">", ";", ")"} {
				line, _, _ = strings.Cut(line, shell)
			}
			_, typed, found := strings.Cut(line, "stormcell ")
			require.True(t, found, line)
			root := Root()
			cmd, args, err := root.Find(strings.Fields(typed))
			require.NoError(t, err, line)
			require.NoError(t, cmd.ParseFlags(args), line)
			require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
			require.NotEqual(t, root, cmd, line)
			tried++
		}
	})
	require.Greater(t, tried, 60)
}

func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string][2]string{
		"paay":               {`there is no command "paay"`, "Did you mean pay? 'stormcell --help' lists them."},
		"open":               {`there is no command "open"`, "Did you mean openchannel?"},
		"help paay":          {`there is no command "paay"`, "Did you mean pay?"},
		"debug retyr x":      {`there is no command "retyr"`, "Did you mean retry? 'stormcell debug --help'"},
		"help debug foo":     {`there is no command "foo"`, "'stormcell debug --help' lists them."},
		"pay":                {"'stormcell pay' takes {BOLT11 | --keysend KEY}", "See 'stormcell pay --help'."},
		"openchannel 02":     {"'stormcell openchannel' takes KEY[@HOST[:PORT]] AMOUNT", ""},
		"balance now":        {"'stormcell balance' takes no arguments", ""},
		"pay x --ammount=1":  {"unknown flag: --ammount", "See 'stormcell pay --help'."},
		"pay x --timeout=1":  {`--timeout "1": say a time with its unit, as 30s`, "See 'stormcell pay --help'."},
		"invoices --last=-1": {`--last "-1": say a whole number, and none below 0`, "See 'stormcell invoices --help'."},
		"completion tcsh":    {"'stormcell completion' takes {bash | fish | zsh}", ""},
	} {
		root := Root()
		root.SetArgs(strings.Fields(typed))
		var out bytes.Buffer
		root.SetOut(&out)
		err := root.ExecuteContext(t.Context())
		require.Error(t, err, typed)
		var report bytes.Buffer
		require.Equal(t, fault.Usage, fault.Report(&report, err), typed)
		text := strings.ReplaceAll(report.String(), "\n", " ")
		require.Contains(t, text, want[0])
		require.Contains(t, text, want[1])
		fits(t, report.String())
		require.Empty(t, out.String(), typed)
	}
}

func TestExitCodesAreExplained(t *testing.T) {
	t.Parallel()
	text := said(t, "exit-codes")
	for _, line := range strings.Split(fault.Codes, "\n") {
		require.Contains(t, text, line)
	}
	require.Len(t, strings.Split(fault.Codes, "\n"), int(fault.Journal)+1)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Contains(t, said(t, "version"), "version  0.")
	require.Contains(t, said(t, "version", "--json"), `"go_version": "go1.`)
}

// TestDocumentsNameCommandsThatExist, and README all there are.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	const readme = "../../../README.md"
	named := regexp.MustCompile("`(?:[^`\n]*/)?stormcell ([a-z-]+)|(?m)^(?:bin/)?stormcell ([a-z-]+)")
	for _, document := range append(documents, readme) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			root := Root()
			root.InitDefaultHelpCmd()
			cmd, _, err := root.Find([]string{m[1] + m[2]})
			require.NoError(t, err, document)
			require.NotEqual(t, "stormcell", cmd.Name(), "%s: stormcell %s", document, m[1]+m[2])
		}
		if document == readme {
			for _, c := range Root().Commands() {
				require.Contains(t, string(text), "`"+c.Name()+"`")
			}
		}
	}
}
