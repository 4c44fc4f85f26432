package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
)

// The groups of the help.
const (
	groupTrust   = "trust"
	groupMachine = "machine"
	groupOther   = "other"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keelctl",
		Short: "Manage hosts that run the Keel hypervisor",
		Long: `keelctl manages hosts that run the Keel hypervisor.

A host gets its configuration from a seed: one file, given to it at boot, that says
what the host is, whom it trusts and which virtual machines it runs. Once it runs, it
has one door: an API over TLS, for those who have a certificate. keelctl makes both
the seeds and the certificates, and is the client of that API.

Begin with ` + "`keelctl init`" + `, which makes your keys and says what comes next.`,
		Example: `  keelctl init
  keelctl seed create -f host.yaml -o seed.tar
  keelctl host add 192.0.2.10
  keelctl vm list`,
		Args:          subcommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          help,
	}
	root.AddGroup(&cobra.Group{ID: groupMachine, Title: "Hosts and virtual machines:"},
		&cobra.Group{ID: groupTrust, Title: "Seeds, keys and certificates, and what was done with them:"},
		&cobra.Group{ID: groupOther, Title: "Else:"})
	a.group(root, groupMachine, a.hostCommand(), a.vmCommand(), a.poolCommand(), a.imageCommand(), a.opCommand(), a.topCommand(), a.eventsCommand())
	a.group(root, groupTrust, a.initCommand(), a.seedCommand(), a.certCommand(), a.trustCommand(), a.auditCommand())
	a.group(root, groupOther, a.contextCommand(), a.queryCommand(), a.versionCommand(), a.completionCommand())
	root.AddCommand(exitCodesTopic(), environmentTopic())
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "rpad .CommandPath .CommandPathPadding}} {{", "rpad .CommandPath .CommandPathPadding}}  {{", 1))
	root.SetHelpCommandGroupID(groupOther)
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().String("config", "", "the configuration file")
	env(root.PersistentFlags().Lookup("config"), "KEEL_CONFIG")
	root.MarkPersistentFlagFilename("config", "yaml")
	a.prepare(root)
	return root
}

func (a *app) group(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = id
	}
	root.AddCommand(commands...)
}

// help is what a command does that only has subcommands.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// subcommand is Args of a command that only has subcommands: what is left over was to be one.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		text += ": did you mean " + strings.Join(like, " or ") + "?"
	}
	return errors.New(text)
}

// nouns makes a command that only has subcommands.
func nouns(noun, short, long, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: noun, Short: short, Long: long, Example: example, Args: subcommand, RunE: help}
	cmd.AddCommand(commands...)
	return cmd
}

// prepare gives every command what all have: values from the environment before it runs, and the knowledge that what
// fails once it runs is no usage error.
func (a *app) prepare(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := a.options.fill(cmd, a.getenv); err != nil {
				return err
			}
			a.started = true
			err := run(cmd, args)
			var coded *exit.Error
			if errors.As(err, &coded) && coded.Code == exit.Usage {
				return fmt.Errorf("%w\nkeelctl: `%s --help` says how it is used", err, cmd.CommandPath())
			}
			return err
		}
	}
	for _, sub := range cmd.Commands() {
		a.prepare(sub)
	}
}

// oneOf is Args for a command about one thing.
func oneOf(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("give one %s, not %d", what, len(args))
		}
		return notEmpty(what, args)
	}
}

// someOf is Args for a command about one thing or several.
func someOf(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("give a %s, or several", what)
		}
		return notEmpty(what, args)
	}
}

// notEmpty refuses an argument that a script's unset variable has become.
func notEmpty(what string, args []string) error {
	if slices.Contains(args, "") {
		return fmt.Errorf("the %s is empty: give its name", what)
	}
	return nil
}

// atMost is Args for a command about one thing or the default.
func atMost(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("give at most one %s, not %d", what, len(args))
		}
		return nil
	}
}
