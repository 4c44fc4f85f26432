package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/manifest"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) vmCommand() *cobra.Command {
	return nouns("vm", "Make, run and look at virtual machines",
		`A VM is named by its name or its id. Its description is that of a seed: see
`+"`keelctl vm create --help`"+`. What is done here holds until the host restarts, which begins
with its seed again.`,
		`  keelctl vm create -f vm.yaml --start
  keelctl vm list
  keelctl vm console demo`,
		a.vmCreate(), a.vmUpdate(), a.vmEdit(), a.vmList(), a.vmGet(), a.vmDelete(),
		a.vmOperation("start", "Start VMs", "Start VMs that are stopped.", "started", true),
		a.vmOperation("shutdown", "Ask VMs to shut down, as by their power button", "Press the power button of VMs. One that hasn't stopped within its stopTimeout is ended.", "stopped", true),
		a.vmOperation("kill", "End VMs at once", "End VMs at once, as if their power had failed: what a guest hasn't written is lost.", "stopped", true),
		a.vmOperation("pause", "Hold VMs' processors", "Hold VMs' processors; their memory stays as it is.", "paused", false),
		a.vmOperation("resume", "Let paused VMs go on", "Let VMs go on that were paused.", "running", false),
		a.vmOperation("reset", "Reset VMs, as by their reset button", "Reset VMs, as by their reset button: what a guest hasn't written is lost.", "reset", false),
		a.vmOperation("nmi", "Send VMs a non-maskable interrupt", "Send VMs a non-maskable interrupt: Linux then writes its state to its console, or crashes if it is told to.", "sent", false),
		a.vmStats(), a.vmConsole(), a.vmLog(), a.vmEvents())
}

func (a *app) vmList() *cobra.Command {
	var labels []string
	var state string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List a host's VMs",
		Long: `List the VMs of a host. Who has a role that is limited to some VMs is told so, and sees
those. It needs the role viewer.`,
		Example: `  keelctl vm list
  keelctl vm list --state running --label tier=test -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if state != "" && !slices.Contains(api.States, state) {
				return exit.Errorf(exit.Usage, "--state %s is no state: give %s", state, strings.Join(api.States, ", "))
			}
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				var vms api.VMs
				if err := r.Get(ctx, client.Path("vms"), nil, &vms); err != nil {
					return err
				}
				var bad error
				vms.VMs = slices.DeleteFunc(vms.VMs, func(v api.VMSummary) bool {
					for _, label := range labels {
						name, value, ok := strings.Cut(label, "=")
						if !ok {
							bad = exit.Errorf(exit.Usage, "--label %s has no =: give it as tier=test", label)
						}
						if has, is := v.Labels[name]; !is || has != value {
							return true
						}
					}
					return state != "" && v.State != state
				})
				if bad != nil {
					return bad
				}
				if vms.VMs == nil {
					vms.VMs = []api.VMSummary{}
				}
				return a.print(vms, func(rows *output.Rows) {
					a.tableOfVMs(rows, vms)
				})
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().StringArrayVar(&labels, "label", nil, "those with this label alone, as tier=test; may be given more than once")
	cmd.Flags().StringVar(&state, "state", "", "those in this state alone: stopped, starting, running, paused or stopping")
	cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(api.States, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) tableOfVMs(r *output.Rows, vms api.VMs) {
	if len(vms.VMs) == 0 {
		r.Line("no VMs")
	} else {
		r.Header("name", "state", "since", "cpus", "memory", "labels", "reason")
	}
	for _, v := range vms.VMs {
		r.Row(v.Name, output.State(v.State), output.Age(a.now().Sub(v.Since)), v.CPUs, output.Size(v.Memory), labelsOf(v.Labels), v.Reason)
	}
	if len(vms.Scope) > 0 {
		r.Line("there may be others: your role is for VMs with %s", labelsOf(vms.Scope))
	}
}

func labelsOf(labels map[string]string) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, name+"="+labels[name])
	}
	return strings.Join(texts, ",")
}

func (a *app) vmGet() *cobra.Command {
	var asManifest bool
	cmd := &cobra.Command{
		Use:   "get VM",
		Short: "Show a VM: its description and its state",
		Long: `Show a VM's description and state, and who holds its consoles. With --manifest print the
description alone, as ` + "`create`, `update`" + ` and seeds take it. It needs the role viewer.`,
		Example: `  keelctl vm get demo -o json
  keelctl vm get demo --manifest > demo.yaml`,
		Args:              oneOf("VM"),
		ValidArgsFunction: a.completeVMs,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				if asManifest {
					v, _, err := a.whole(ctx, r, args[0])
					if err != nil {
						return err
					}
					text, err := manifest.Format(&v.Spec)
					if err == nil {
						_, err = a.stdout.Write(text)
					}
					return err
				}
				var v api.VM
				if err := r.Get(ctx, client.Path("vms", args[0]), nil, &v); err != nil {
					return err
				}
				return a.print(v, func(rows *output.Rows) { a.fieldsOfVM(rows, v) })
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().BoolVar(&asManifest, "manifest", false, "print the description alone, as YAML for create and update")
	return cmd
}

func (a *app) fieldsOfVM(r *output.Rows, v api.VM) {
	r.Field("VM", v.Spec.Name)
	r.Field("state", output.State(v.State))
	r.Field("since", output.Time(v.Since)+" ("+output.Age(a.now().Sub(v.Since))+")")
	r.Field("stopped by", v.Reason)
	showVM(func(name, format string, args ...any) {
		r.Field(name, fmt.Sprintf(format, args...))
	}, v.Spec)
	if len(v.Alone) > 0 {
		r.Field("has alone", processors(v.Alone))
	}
	for _, p := range v.Serial {
		holder := "nobody types"
		if p.Holder != "" {
			holder = p.Holder + " types, since " + output.Time(p.Since)
		}
		if len(p.Watchers) > 0 {
			holder += "; watched by " + strings.Join(p.Watchers, ", ")
		}
		r.Field("console "+p.Port, holder)
	}
}

func (a *app) vmDelete() *cobra.Command {
	var kill bool
	cmd := &cobra.Command{
		Use:               "delete VM...",
		Short:             "Delete VMs that are stopped",
		Long:              "Delete VMs. One that runs is refused, unless --kill ends it first. Its images stay. It needs the role operator.",
		Example:           "  keelctl vm delete demo --kill",
		Args:              someOf("VM"),
		ValidArgsFunction: a.completeVMs,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(a.waitingFor(kill), func(ctx context.Context, r *remote) error {
				return a.each(args, func(name string) error {
					if kill {
						if err := a.endFirst(ctx, r, name); err != nil {
							return err
						}
					}
					_, err := r.Call(ctx, client.Request{Method: http.MethodDelete, Path: client.Path("vms", name)}, nil)
					if err == nil {
						a.note("%s: deleted", name)
					}
					return err
				})
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().BoolVar(&kill, "kill", false, "end those that run")
	return cmd
}

func (a *app) waitingFor(long bool) time.Duration {
	if long {
		return waitTimeout
	}
	return callTimeout
}

// endFirst ends a VM that isn't stopped, and waits until it is.
func (a *app) endFirst(ctx context.Context, r *remote, name string) error {
	var v api.VM
	if err := r.Get(ctx, client.Path("vms", name), nil, &v); err != nil || v.State == api.Stopped {
		return err
	}
	var op api.Operation
	if err := r.Post(ctx, client.Path("vms", name, "kill"), nil, &op); err != nil {
		return err
	}
	_, err := a.await(ctx, r, op)
	return err
}

// vmOperation makes one of the commands that do something to VMs. Those that are long are operations on the host.
func (a *app) vmOperation(verb, short, long, done string, operation bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:               verb + " VM...",
		Short:             short,
		Long:              long + " It needs the role operator.",
		Example:           "  keelctl vm " + verb + " demo",
		Args:              someOf("VM"),
		ValidArgsFunction: a.completeVMs,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(a.waiting(), func(ctx context.Context, r *remote) error {
				return a.each(args, func(name string) error {
					path := client.Path("vms", name, verb)
					if operation {
						return a.begin(ctx, r, path, nil, name+": "+done)
					}
					var v api.VM
					if err := r.Post(ctx, path, nil, &v); err != nil {
						return err
					}
					if a.computed() {
						return a.print(v, nil)
					}
					a.note("%s: %s", name, done)
					return nil
				})
			})
		},
	}
	if verb == "shutdown" {
		cmd.SuggestFor = []string{"stop"}
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	if operation {
		a.waitFlag(cmd)
	}
	return cmd
}

func (a *app) vmStats() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:               "stats VM",
		Short:             "Show what a VM has used since it was started",
		Long:              "Show the processor time, exits and memory that a VM has used since it was started. It needs the role viewer.",
		Example:           "  keelctl vm stats demo -o json",
		Args:              oneOf("VM"),
		ValidArgsFunction: a.completeVMs,
	}, func(args []string) client.Request {
		return client.Request{Method: http.MethodGet, Path: client.Path("vms", args[0], "stats")}
	}, func(s api.VMStats) error {
		return a.print(s, func(rows *output.Rows) { fieldsOfStats(rows, &s) })
	})
}

func fieldsOfStats(r *output.Rows, s *api.VMStats) {
	spent := func(ns uint64) string { return time.Duration(ns).Round(time.Millisecond).String() }
	r.Field("state", output.State(s.State))
	r.Field("processor time", spent(s.Used))
	r.Field("waited for one", spent(s.Ready))
	r.Field("held back", spent(s.Stolen-min(s.Stolen, s.Ready))) // by a limit; older hosts don't say it by itself
	r.Field("idle", spent(s.Blocked))
	if s.Paused > 0 {
		r.Field("paused", spent(s.Paused))
	}
	r.Field("memory", output.Size(s.Memory)+", "+output.Size(s.Resident)+" in use on the host")
	if s.Active != nil {
		r.Field("touched of late", output.Size(*s.Active))
	}
	if s.Granted > 0 {
		r.Field("holds", output.Size(s.Granted)+", of "+output.Size(s.Target)+" that it is to hold at most")
	}
	if s.Balloon > 0 {
		r.Field("in the balloon", output.Size(s.Balloon))
	}
	if s.Waiting > 0 {
		r.Field("wait for memory", count(s.Waiting, "virtual processor"))
	}
	if len(s.Exits) > 0 {
		r.Break()
		r.Header("exit", "count")
	}
	names := slices.SortedFunc(maps.Keys(s.Exits), func(x, y string) int {
		return cmp.Or(cmp.Compare(s.Exits[y], s.Exits[x]), strings.Compare(x, y))
	})
	for _, name := range names {
		r.Row(name, s.Exits[name])
	}
}

// consolePort is the serial port that is meant without --port: the VM's first.
func consolePort(ctx context.Context, r *remote, name, port string) (string, error) {
	if port != "" {
		return port, nil
	}
	var v api.VM
	if err := r.Get(ctx, client.Path("vms", name), nil, &v); err != nil {
		return "", err
	}
	if len(v.Spec.Serial) == 0 {
		return "", exit.Errorf(exit.NotFound, "%s has no serial port: give it one in its description (serial: [{name: ttyS0}])", name)
	}
	return v.Spec.Serial[0].Name, nil
}

func (a *app) vmLog() *cobra.Command {
	var port string
	var from int64
	cmd := &cobra.Command{
		Use:   "log VM",
		Short: "Show what a VM's console has shown",
		Long: `Show what the host still has of what a VM has written to its serial port, without its
control characters where stdout is a terminal. It needs the role operator, as a console can
show what isn't for everybody.`,
		Example: `  keelctl vm log demo
  keelctl vm log demo --port ttyS1 > console.txt`,
		Args:              oneOf("VM"),
		ValidArgsFunction: a.completeVMs,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				p, err := consolePort(ctx, r, args[0], port)
				if err != nil {
					return err
				}
				to := a.stdout
				if a.terminal.Stdout() {
					to = output.Printable(to)
				}
				query := url.Values{"from": {fmt.Sprint(from)}}
				return copyRaw(ctx, r, to, client.Path("vms", args[0], "console", p, "log"), query)
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVar(&port, "port", "", "the serial port (default: the VM's first)")
	cmd.Flags().Int64Var(&from, "from", 0, "the first byte, counted from the guest's first")
	return cmd
}

// serialPorts are those that a VM can have, for completion.
var serialPorts = []cobra.Completion{"ttyS0", "ttyS1", "ttyS2", "ttyS3"}
