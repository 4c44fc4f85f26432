package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

// events makes `keelctl events` and `keelctl vm events`.
func (a *app) events(use, short, long, example string, args cobra.PositionalArgs) *cobra.Command {
	var follow bool
	var from uint64
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: args,
		RunE: func(_ *cobra.Command, args []string) error {
			limit := callTimeout
			if follow {
				limit = 0
			}
			return a.ask(limit, func(ctx context.Context, r *remote) error {
				p, err := a.printer()
				if err != nil {
					return err
				}
				query := url.Values{"follow": {strconv.FormatBool(follow)}, "from": {strconv.FormatUint(from, 10)}}
				err = client.Each(ctx, r.Conn, client.Path("events"), query, func(e api.Event) error {
					if len(args) == 1 && e.VM != args[0] && e.ID != args[0] {
						return nil
					}
					if p.Format != output.Table {
						return a.printLine(p.Format, e)
					}
					_, err := fmt.Fprintln(a.stdout, output.Clean(eventLine(e)))
					return err
				})
				return a.followed(follow, err)
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until Ctrl-C")
	cmd.Flags().Uint64Var(&from, "from", 1, "the number of the first event")
	return cmd
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
