package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

// ofHost makes a command that shows a part of what a host says of itself.
func (a *app) ofHost(use, short, long, example string, part func(*api.Host) any, table func(*output.Rows, *api.Host), after ...func(*api.Host) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.NoArgs}
	return shown(a, cmd, got("host"), func(h api.Host) error {
		if err := a.print(part(&h), func(rows *output.Rows) { table(rows, &h) }); err != nil {
			return err
		}
		for _, f := range after {
			if err := f(&h); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) hostInfo() *cobra.Command {
	return a.ofHost("info", "Show what a host is and how it is",
		"Show a host's name, version, state, seed and health. It needs the role viewer.",
		"  keelctl host info -o yaml",
		func(h *api.Host) any { return h },
		func(r *output.Rows, h *api.Host) {
			r.Field("host", h.Name)
			r.Field("state", output.State(h.State))
			r.Field("version", h.Version)
			r.Field("serial number", h.Serial)
			r.Field("started", output.Time(h.Started)+" ("+output.Age(a.now().Sub(h.Started))+" ago)")
			r.Field("boot", h.Boot)
			r.Field("processors", fmt.Sprintf("%d, %s", h.Hardware.CPUs, h.Hardware.Virtualisation))
			r.Field("memory", output.Size(h.Hardware.Memory)+", "+output.Size(h.Resources.MemoryFree)+" free")
			r.Field("VMs", fmt.Sprintf("%d, %d running", h.Resources.VMs, h.Resources.VMsRunning))
			seed := h.Seed.Source
			if seed == "" {
				seed = "none"
			}
			if h.Seed.Signer != "" {
				seed += ", signed by " + h.Seed.Signer
			}
			r.Field("seed", seed)
			for _, other := range h.Seed.Others {
				r.Field("not used", other)
			}
			showHealth(r, h)
		})
}

func showHealth(r *output.Rows, h *api.Host) {
	r.Field("health", output.State(h.Health.State))
	for _, p := range h.Health.Problems {
		r.Field("problem", output.Cell{Text: p, Style: output.Warn})
	}
}

func (a *app) hostHardware() *cobra.Command {
	return a.ofHost("hardware", "Show a host's processors, memory and network cards",
		"Show what hardware Keel found, and which driver each network card has. It needs the role viewer.",
		"  keelctl host hardware",
		func(h *api.Host) any { return h.Hardware },
		func(r *output.Rows, h *api.Host) {
			hw := h.Hardware
			r.Field("processors", hw.CPUs)
			r.Field("model", hw.CPUModel)
			r.Field("virtualisation", hw.Virtualisation)
			r.Field("memory", output.Size(hw.Memory))
			r.Field("time-stamp counter", fmt.Sprintf("%.3f MHz, by %s", float64(hw.TSCHz)/1e6, hw.ClockSource))
			dma := output.Cell{Text: "off: a device can reach all memory", Style: output.Warn}
			if hw.DMAProtection {
				dma = output.Cell{Text: "on", Style: output.Good}
			}
			r.Field("DMA protection", dma)
			if len(hw.Cards) > 0 {
				r.Break()
				r.Header("network card", "driver", "mac", "link")
			}
			for _, c := range hw.Cards {
				driver := c.Driver
				if driver == "" {
					driver = "no driver"
				}
				r.Row(c.Address, driver, c.MAC, c.Link)
			}
		})
}

func (a *app) hostResources() *cobra.Command {
	return a.ofHost("resources", "Show what of a host is taken and what is free",
		"Show what of a host's memory and image store is taken and free, of each of its NUMA nodes where there\nare several, and which processors VMs have for themselves. It needs the role viewer.",
		"  keelctl host resources -o json",
		func(h *api.Host) any { return h.Resources },
		func(r *output.Rows, h *api.Host) {
			s := h.Resources
			r.Header("resource", "used", "free")
			r.Row("memory", output.Size(h.Hardware.Memory-min(h.Hardware.Memory, s.MemoryFree)), output.Size(s.MemoryFree))
			r.Row("  of it, by Keel", output.Size(s.MemoryUsed), "")
			r.Row("images", output.Size(s.ImagesUsed), output.Size(s.ImagesFree))
			r.Break()
			r.Field("VMs", fmt.Sprintf("%d, %d running", s.VMs, s.VMsRunning))
			r.Field("worlds", s.Worlds)
			if len(s.Nodes) > 1 {
				r.Break()
				r.Header("node", "processors", "memory", "free")
				for _, n := range s.Nodes {
					r.Row(n.Node, processors(n.CPUs), output.Size(n.Memory), output.Size(n.MemoryFree))
				}
			}
			if len(s.Exclusive) > 0 {
				r.Break()
				r.Header("processor", "only for")
			}
			for _, e := range s.Exclusive {
				r.Row(e.CPU, e.VM)
			}
		})
}

func (a *app) hostHealth() *cobra.Command {
	return a.ofHost("health", "Say whether a host has problems",
		"Say whether a host has problems, and which. The exit code is 1 if there are any.\nIt needs the role viewer.",
		"  keelctl host health && echo all is well",
		func(h *api.Host) any { return h.Health },
		showHealth,
		func(h *api.Host) error {
			if n := len(h.Health.Problems); n > 0 {
				return exit.Errorf(exit.Fault, "%s has %s", h.Name, count(n, "problem"))
			}
			return nil
		})
}

func (a *app) hostLog() *cobra.Command {
	next := uint64(0)
	return followed(a, &cobra.Command{
		Use:   "log",
		Short: "Show a host's log",
		Long: `Show the lines of a host's log that it still has, and with --follow those that come,
until Ctrl-C. Lines of guests' consoles that are copied to the log begin with the VM's
name and a bar. It needs the role operator.`,
		Example: `  keelctl host log
  keelctl host log --follow`,
		Args: cobra.NoArgs,
	}, "line", func(l api.LogLine, _ []string) string {
		if l.Sequence > next && next > 1 {
			a.note("%s are no longer kept", count(int(l.Sequence-next), "line"))
		}
		next = l.Sequence + 1
		return l.Time.UTC().Format("15:04:05.000") + " " + l.Text
	}, "host", "log")
}

// copyRaw copies an answer that isn't JSON.
func copyRaw(ctx context.Context, r *remote, to io.Writer, path string, query url.Values) error {
	response, err := r.Do(ctx, client.Request{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(to, response.Body)
	return err
}

func (a *app) hostMetrics() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "metrics",
		Short:   "Print a host's metrics as Prometheus reads them",
		Long:    "Print a host's metrics, worlds, exits, memory and network, in Prometheus's text format. It needs the role viewer.",
		Example: "  keelctl host metrics | grep keel_vm_exits",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				return copyRaw(ctx, r, a.stdout, client.Path("host", "metrics"), nil)
			})
		},
	}
	a.remoteFlags(cmd)
	return cmd
}

func (a *app) hostSupport() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "support",
		Short: "Fetch a support bundle: what helps to find a fault",
		Long: `Fetch a support bundle, a .tar.gz with logs, state and figures, and without secrets.
It needs the role admin.`,
		Example: `  keelctl host support
  keelctl host support -o - | tar tz`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.ask(5*time.Minute, func(ctx context.Context, r *remote) error {
				if path == "-" {
					return copyRaw(ctx, r, a.stdout, client.Path("host", "support"), nil)
				}
				name := path
				if name == "" {
					name = fmt.Sprintf("%s-%s.tar.gz", r.host.Name, a.now().UTC().Format("20060102T150405Z"))
				}
				f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if os.IsExist(err) {
					return exit.Errorf(exit.Conflict, "%s is there already and is not overwritten: give another name by -o", name)
				}
				if err != nil {
					return err
				}
				err = copyRaw(ctx, r, f, client.Path("host", "support"), nil)
				if closed := f.Close(); err == nil {
					err = closed
				}
				if err != nil {
					os.Remove(name)
					return err
				}
				a.note("wrote %s", name)
				return nil
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVarP(&path, "output", "o", "", "the file; - is standard output (default: HOST-TIME.tar.gz)")
	return cmd
}
