package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/manifest"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

func (a *app) poolCommand() *cobra.Command {
	return nouns("pool", "See and change what pools of VMs have",
		`A pool has a part of the processors and of the memory of a host, or of the pool that it is in,
for the VMs in it. The host's seed makes pools (pools in its document), and a VM's description
names the one that the VM is in (cpu.pool, memory.pool).`,
		`  keelctl pool list
  keelctl pool show web
  keelctl pool set web --cpu-shares 8000 --cpu-limit 250%`,
		a.poolList(), a.poolShow(), a.poolSet())
}

func (a *app) poolList() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List a host's pools",
		Long:    "List the pools of a host, parents first, and what each has of processors and memory. It needs the role viewer.",
		Example: "  keelctl pool list",
		Args:    cobra.NoArgs,
	}, got("pools"), func(pools api.Pools) error {
		return a.print(pools, func(r *output.Rows) {
			if len(pools.Pools) == 0 {
				r.Line("the host has no pools; its seed names them, under pools")
				return
			}
			r.Header("name", "in", "VMs", "processors", "memory", "held")
			for _, p := range pools.Pools {
				r.Row(p.Name, p.Parent, p.VMs, share(p.CPU, seed.FormatPercent), share(p.Memory, seed.FormatSize), output.Size(p.Granted))
			}
		})
	})
}

func (a *app) showPool(p api.Pool) error {
	return a.print(p, func(r *output.Rows) {
		r.Field("pool", p.Name)
		r.Field("in", p.Parent)
		r.Field("VMs", p.VMs)
		r.Field("processors", share(p.CPU, seed.FormatPercent))
		r.Field("kept for it", seed.FormatPercent(p.Reserved))
		r.Field("processor time", time.Duration(p.Used).Round(time.Millisecond).String())
		r.Field("memory", share(p.Memory, seed.FormatSize))
		r.Field("its VMs hold", output.Size(p.Granted))
		r.Field("kept for it", output.Size(p.Committed))
	})
}

func (a *app) poolShow() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:               "show POOL",
		Short:             "Show what a pool has, and has used",
		Long:              "Show what a pool has of processors and memory, what is kept for it, and what its VMs have used. It needs the role viewer.",
		Example:           "  keelctl pool show web",
		Args:              oneOf("pool"),
		ValidArgsFunction: a.completePools,
	}, func(args []string) client.Request {
		return client.Request{Method: http.MethodGet, Path: client.Path("pools", args[0])}
	}, a.showPool)
}

// poolFlags are what of a pool is to change.
type poolFlags struct {
	cpuShares, memoryShares        uint32
	cpuReservation, cpuLimit       string
	memoryReservation, memoryLimit string
}

func (f *poolFlags) add(to *pflag.FlagSet) {
	to.Uint32Var(&f.cpuShares, "cpu-shares", 0, "shares of processors, against those of its siblings")
	to.StringVar(&f.cpuReservation, "cpu-reservation", "", "what is kept for it of processors at least, as 50%; 100% is one, 0% none")
	to.StringVar(&f.cpuLimit, "cpu-limit", "", "what it has of processors at most, as 250%, or none")
	to.Uint32Var(&f.memoryShares, "memory-shares", 0, "shares of memory")
	to.StringVar(&f.memoryReservation, "memory-reservation", "", "what is kept for it of memory at least, as 1GiB; 0MiB is none")
	to.StringVar(&f.memoryLimit, "memory-limit", "", "what it has of memory at most, as 4GiB, or none")
}

// change changes of a pool's policy what was given, and says whether anything was.
func (f *poolFlags) change(p *api.PoolPolicy, flags *pflag.FlagSet) (changed bool, err error) {
	for _, s := range []struct {
		flag  string
		value uint32
		to    *uint32
	}{{"cpu-shares", f.cpuShares, &p.CPU.Shares}, {"memory-shares", f.memoryShares, &p.Memory.Shares}} {
		if !flags.Changed(s.flag) {
			continue
		}
		if s.value == 0 {
			return false, exit.Errorf(exit.Usage, "--%s: 0 is below the minimum of 1", s.flag)
		}
		*s.to, changed = s.value, true
	}
	for _, s := range []struct {
		flag, value string
		to          *uint64
		read        func(string) (uint64, error)
		none        bool // can be said
	}{
		{"cpu-reservation", f.cpuReservation, &p.CPU.Reservation, manifest.ParsePercent, false},
		{"cpu-limit", f.cpuLimit, &p.CPU.Limit, manifest.ParsePercent, true},
		{"memory-reservation", f.memoryReservation, &p.Memory.Reservation, manifest.ParseSize, false},
		{"memory-limit", f.memoryLimit, &p.Memory.Limit, manifest.ParseSize, true},
	} {
		if !flags.Changed(s.flag) {
			continue
		}
		changed = true
		if s.none && s.value == "none" {
			*s.to = 0
			continue
		}
		v, err := s.read(s.value)
		if err != nil {
			return false, exit.Errorf(exit.Usage, "--%s: %w", s.flag, err)
		}
		if s.none && v == 0 {
			return false, exit.Errorf(exit.Usage, "--%s: %s would leave it nothing: give none for no limit", s.flag, s.value)
		}
		*s.to = v
	}
	return changed, nil
}

func (a *app) poolSet() *cobra.Command {
	var flags poolFlags
	cmd := &cobra.Command{
		Use:   "set POOL [--cpu-shares N] [--cpu-reservation N%] [--cpu-limit N%|none] [--memory-...]",
		Short: "Change a pool's shares, reservations and limits",
		Long: `Change what a pool has of processors and memory; what isn't given stays as it is. It takes
effect at once, for the VMs that run too, and holds until the host restarts: put it into the
seed as well. What can't be kept is refused with the numbers. It needs the role admin.

A reservation is kept for what is in the pool, used or not. VMs in it may reserve more than
that, which is had from the pool above or the host; a limit they may not pass together.`,
		Example: `  keelctl pool set web --cpu-shares 8000
  keelctl pool set web --cpu-reservation 150% --cpu-limit none
  keelctl pool set web --memory-reservation 2GiB --memory-limit 8GiB`,
		Args:              oneOf("pool"),
		ValidArgsFunction: a.completePools,
		RunE: func(cmd *cobra.Command, args []string) error {
			if changed, err := flags.change(&api.PoolPolicy{}, cmd.Flags()); err != nil {
				return err
			} else if !changed {
				return exit.Errorf(exit.Usage, "nothing to change: give --cpu-shares, --cpu-reservation, --cpu-limit, --memory-shares, --memory-reservation or --memory-limit")
			}
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				path := client.Path("pools", args[0])
				var p api.Pool
				header, err := r.Call(ctx, client.Request{Method: http.MethodGet, Path: path}, &p)
				if err != nil {
					return err
				}
				to := api.PoolPolicy{CPU: p.CPU, Memory: p.Memory}
				if _, err := flags.change(&to, cmd.Flags()); err != nil {
					return err
				}
				var now api.Pool
				if _, err := r.Call(ctx, client.Request{Method: http.MethodPut, Path: path, In: to, Match: header.Get("ETag")}, &now); err != nil {
					return err
				}
				a.note("the change holds until the host restarts; put it into the seed as well")
				return a.showPool(now)
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	flags.add(cmd.Flags())
	return cmd
}
