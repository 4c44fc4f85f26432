package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
)

// events makes `keelctl events` and `keelctl vm events`.
func (a *app) events(use, short, long, example string, args cobra.PositionalArgs) *cobra.Command {
	return followed(a, &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: args}, "event", func(e api.Event, args []string) string {
		if len(args) == 1 && e.VM != args[0] && e.ID != args[0] {
			return ""
		}
		return eventLine(e)
	}, "events")
}

func eventLine(e api.Event) string {
	parts := []string{output.Time(e.Time), e.Kind}
	if e.VM != "" {
		parts = append(parts, e.VM)
	} else if e.ID != "" {
		parts = append(parts, e.ID)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Data)) {
		parts = append(parts, key+"="+strconv.Quote(e.Data[key]))
	}
	return strings.Join(parts, "  ")
}

func (a *app) eventsCommand() *cobra.Command {
	return a.events("events", "Show what happens on a host",
		`Show what has happened on a host since it started, as far as it still knows, and with
--follow what happens from then on. It needs the role viewer.`,
		`  keelctl events --follow
  keelctl events -o json`, cobra.NoArgs)
}

func (a *app) vmEvents() *cobra.Command {
	cmd := a.events("events VM", "Show what happens to a VM",
		`Show what has happened to a VM since the host started, as far as the host still knows, and
with --follow what happens from then on. It needs the role viewer.`,
		"  keelctl vm events demo --follow", oneOf("VM"))
	cmd.ValidArgsFunction = a.completeVMs
	return cmd
}
