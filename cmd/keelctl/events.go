package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

// events makes `keelctl events` and `keelctl vm events`, which shows those that about picks.
func (a *app) events(use, short, long, example string, args cobra.PositionalArgs, about func(api.Event) bool) *cobra.Command {
	return followed(a, &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: args}, "event", func(e api.Event, _ []string) string {
		if !about(e) {
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
  keelctl events -o json`, cobra.NoArgs, func(api.Event) bool { return true })
}

func (a *app) vmEvents() *cobra.Command {
	var of eventsOfVM
	cmd := a.events("events VM", "Show what happens to a VM",
		`Show what has happened to a VM since the host started, as far as the host still knows, and
with --follow what happens from then on. Of a VM that is gone it shows what there was. It needs
the role viewer.`,
		"  keelctl vm events demo --follow", oneOf("VM"), of.about)
	cmd.ValidArgsFunction = a.completeVMs
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var v api.VM
		missing := a.ask(callTimeout, func(ctx context.Context, r *remote) error {
			return r.Get(ctx, client.Path("vms", args[0]), nil, &v)
		})
		switch {
		case missing == nil:
			of = eventsOfVM{name: v.Spec.Name, id: v.Spec.ID}
		case exit.Code(missing) != exit.NotFound:
			return missing
		default:
			of = eventsOfVM{name: args[0], id: args[0], gone: true}
			cmd.Flags().Set("follow", "false") // nothing more comes
		}
		if err := run(cmd, args); err != nil || of.found {
			return err
		}
		return missing
	}
	return cmd
}

// eventsOfVM picks the events of a VM.
type eventsOfVM struct {
	name, id string
	gone     bool // name may be its id, or the other way round
	found    bool
}

// about says whether an event is about the VM. One that says that others are lost is about all.
func (o *eventsOfVM) about(e api.Event) bool {
	if e.Kind == "lost" {
		return true
	}
	named := o.gone || !strings.HasPrefix(e.Kind, "vm.") // such as an operation's, which has an id of its own
	is := e.ID == o.id || named && e.VM == o.name
	o.found = o.found || is
	return is
}
