package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
)

// exitCodesTopic is `keelctl help exit-codes`.
func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("The exit code says what kind of failure it was, so that scripts needn't read the text:\n\n")
	for _, c := range exit.Codes {
		fmt.Fprintf(&b, "  %3d  %-12s %s\n", c.Code, c.Name, c.Text)
	}
	b.WriteString(`
A command that is about several things stops at none of them and exits with the code
of the first that failed.`)
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}

// environmentTopic is `keelctl help environment`.
func environmentTopic() *cobra.Command {
	return &cobra.Command{Use: "environment", Short: "Variables, and the files that keelctl keeps", Long: `Flags override the environment, and the environment overrides config.yaml:

  KEEL_CONFIG   --config   where config.yaml is; the keys are in contexts/ beside it
  KEEL_CONTEXT  --context  the context
  KEEL_HOST     --host     the host, by its name in the context
  KEEL_OUTPUT   --output   table, json or yaml
  KEEL_TIMEOUT  --timeout  how long a command may take, as 30s or 5m
  KEEL_WAIT     --wait     true: commands that begin an operation wait for its end
  NO_COLOR                 anything: no colours, even on a terminal

Without KEEL_CONFIG the file is $XDG_CONFIG_HOME/keel/config.yaml, that is
~/.config/keel/config.yaml; on Windows %AppData%\keel\config.yaml. It may hold
defaults for two of the flags:

  apiVersion: keelctl/v1
  output: table
  timeout: 30s

Beside it, in contexts/NAME, are the keys and certificates of each context, what is
needed to recognise a host after its restart, and the audit checkpoints that were seen.
Keys are readable by you alone (0600); one that others can read is refused.`}
}
