package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/manifest"
	"keel/vmkernel/seed"
)

// Exit codes.
const (
	exitFault = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, nil)) }

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	newID          func() string // nil: random
	started        bool          // the command line was understood: what fails now is no usage error
}

// run runs the command with these arguments and returns its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, newID func() string) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, newID: newID}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	if !a.started {
		fmt.Fprintf(stderr, "keelctl: %v\nkeelctl: `%s --help` says how it is used\n", err, cmd.CommandPath())
		return exitUsage
	}
	var faults manifest.Errors
	if !errors.As(err, &faults) {
		faults = manifest.Errors{err}
	}
	for _, fault := range faults {
		// What names a line of a file stands alone, so that editors find it.
		if at := (*seed.Error)(nil); errors.As(fault, &at) && at.Pos != "" {
			fmt.Fprintln(stderr, fault)
		} else {
			fmt.Fprintf(stderr, "keelctl: %v\n", fault)
		}
	}
	return exitFault
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keelctl",
		Short: "Manage hosts that run the Keel hypervisor",
		Long: `keelctl manages hosts that run the Keel hypervisor.

A host gets its configuration from a seed: one file, given to it at boot, that says
what the host is and which virtual machines it runs. keelctl makes seeds from YAML.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          help,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.seed(), a.version())
	return root
}

// help is what a command does that only has subcommands.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print keelctl's version and what it can make",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.started = true
			version, revision := "(unknown)", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value
					}
				}
			}
			_, err := fmt.Fprintf(a.stdout, "keelctl %s%s (%s %s/%s)\nseeds %s, machine %s, processor %s\n", version, revision,
				runtime.Version(), runtime.GOOS, runtime.GOARCH, seed.APIVersion, seed.Machine, seed.CPUModel)
			return err
		},
	}
}
