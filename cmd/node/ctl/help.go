package ctl

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stormcell/cmd/node/fault"
)

func init() {
	// Help lists commands as they are needed, one after the other: that is the order in which Root adds them.
	cobra.EnableCommandSorting = false
}

// Flags stand in the first column of help, and what they mean at the second.
const (
	flagColumn = 26
	helpWidth  = 80
)

// commonFlags are those that say which daemon is meant and how its answer is shown. Help lists them last.
var commonFlags = []string{"json", "network", "datadir", "rpcserver", "macaroon", "tlscert"}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		GroupID: groupMore,
		Short:   "Explain a command",
		Example: "  stormcell help pay\n  stormcell help debug halted",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, c := range at.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			return about.Help()
		},
	}
}

func exitCodesHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "exit-codes",
		GroupID: groupMore,
		Short:   "Explain the exit codes",
		Long:    fmt.Sprintf("What a command's exit code says:\n\n%s\n\nErrors are written to stderr, answers to stdout.", fault.Codes),
		Example: "  stormcell state; test $? -eq 3 && stormcell start",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// unknownCommand is the fault of a command line whose command there is not.
func unknownCommand(in *cobra.Command, name string) error {
	advice := fmt.Sprintf("'%s --help' lists them.", in.CommandPath())
	if in.SuggestionsMinimumDistance == 0 {
		in.SuggestionsMinimumDistance = 2 // letters typed wrong; cobra's default, which it sets too late
	}
	if similar := in.SuggestionsFor(name); len(similar) > 0 {
		advice = fmt.Sprintf("Did you mean %s? %s", strings.Join(similar, " or "), advice)
	}
	return fault.New(fault.Usage, fmt.Errorf("there is no command %q", plain(name, 40)), "%s", advice)
}

// checked turns what cobra says of wrong arguments into a fault that shows the right ones.
func checked(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		switch {
		case args == nil || args(cmd, given) == nil:
			return nil
		case cmd.HasSubCommands():
			return unknownCommand(cmd, given[0])
		}
		_, takes, _ := strings.Cut(cmd.Use, " ")
		if takes == "" {
			takes = "no arguments"
		}
		return fault.New(fault.Usage, fmt.Errorf("'%s' takes %s", cmd.CommandPath(), takes), "See '%s --help'.", cmd.CommandPath())
	}
}

// plainly says what a flag takes where pflag says how Go failed to read it.
func plainly(err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) {
		return err
	}
	flag, takes := wrong.GetFlag(), ""
	switch flag.Value.Type() {
	case "uint16", "uint32", "uint64":
		takes = "a whole number, and none below 0"
	case "int32", "int64", "int":
		takes = "a whole number"
	case "duration":
		takes = "a time with its unit, as 30s, 90m or 24h"
	default:
		return err
	}
	return fmt.Errorf("--%s %q: say %s", flag.Name, plain(wrong.GetValue(), 40), takes)
}

// showUsage shows how a command is used, in a terminal of 80 columns.
func showUsage(cmd *cobra.Command) error {
	var out strings.Builder
	section := func(title, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			fmt.Fprintf(&out, "\n%s:\n%s\n", title, text)
		}
	}
	use := cmd.CommandPath() + " COMMAND"
	if !cmd.HasSubCommands() {
		use = strings.TrimSuffix(cmd.UseLine(), " [flags]")
	}
	section("Usage", "  "+use+" [--FLAG=VALUE ...]")
	if len(cmd.Aliases) > 0 {
		section("Other names", "  "+strings.Join(cmd.Aliases, ", "))
	}
	section("Examples", cmd.Example)
	for _, g := range cmd.Groups() {
		section(g.Title, listCommands(cmd, g.ID))
	}
	section("Commands", listCommands(cmd, ""))
	section("Flags", listFlags(cmd, false))
	section("Common flags", listFlags(cmd, true))
	if cmd.HasSubCommands() {
		fmt.Fprintf(&out, "\n'%s COMMAND --help' explains a command.\n", cmd.CommandPath())
	}
	_, err := io.WriteString(cmd.OutOrStderr(), strings.TrimPrefix(out.String(), "\n"))
	return err
}

// listCommands lists the commands of a group, or those of none.
func listCommands(of *cobra.Command, group string) string {
	var out strings.Builder
	for _, c := range of.Commands() {
		if c.GroupID == group && c.IsAvailableCommand() {
			fmt.Fprintf(&out, "  %-15s %s\n", c.Name(), c.Short)
		}
	}
	return out.String()
}

// listFlags lists the common flags of a command, or the others.
func listFlags(cmd *cobra.Command, common bool) string {
	var out strings.Builder
	_ = cmd.LocalFlags() // which makes the inherited ones known to Flags
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "version" && !f.Hidden && slices.Contains(commonFlags, f.Name) == common {
			out.WriteString(describeFlag(f))
		}
	})
	return out.String()
}

// describeFlag is a flag, what it takes, and what it means, in as many lines as that needs.
func describeFlag(f *pflag.Flag) string {
	takes, meaning := pflag.UnquoteUsage(f)
	flag := "  --" + f.Name
	if takes != "" {
		flag += "=" + takes
	}
	if nothing := []string{"", "0", "false", "[]", "0s"}; !slices.Contains(nothing, f.DefValue) {
		meaning += fmt.Sprintf(" (default %s)", f.DefValue)
	}
	lines := strings.Split(fault.Wrap(meaning, helpWidth-flagColumn), "\n")
	if len(flag) > flagColumn-2 {
		lines = append([]string{flag}, lines...)
	} else {
		lines[0] = fmt.Sprintf("%-*s%s", flagColumn, flag, lines[0])
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", flagColumn)) + "\n"
}
