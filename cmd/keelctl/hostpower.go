package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) hostShutdown() *cobra.Command {
	return a.hostStop("shutdown", "Stop all VMs and switch a host off", "switch it off")
}

func (a *app) hostRestart() *cobra.Command {
	return a.hostStop("restart", "Stop all VMs and restart a host", "restart it")
}

// hostStop is shutdown or restart. The name has to be given: it is too much to be done to a default.
func (a *app) hostStop(verb, short, what string) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Long: fmt.Sprintf(`Stop all VMs of a host, each by its power button and within its stopTimeout, and then %s.
With --force VMs are ended at once. The host has to be named, so that it isn't the default
one by mistake. A host that can't keep its key has another one after it was restarted.

With --wait the command ends once the host has gone down. It needs the role admin.`, what),
		Example:           fmt.Sprintf("  keelctl host %s keel-1 --wait", verb),
		Args:              oneOf("host"),
		ValidArgsFunction: a.completeHosts,
		RunE: func(_ *cobra.Command, args []string) error {
			a.options.host = args[0]
			return a.ask(a.waiting(), func(ctx context.Context, r *remote) error {
				var op api.Operation
				if err := r.Post(ctx, client.Path("host", verb), api.HostStop{Force: force}, &op); err != nil {
					return err
				}
				err := a.conclude(ctx, r, op, verb+" of "+r.host.Name+" done")
				var lost *client.Failure
				if a.options.wait && ctx.Err() == nil && errors.As(err, &lost) && exit.Code(err) == exit.Unreachable {
					a.note("%s has gone down", r.host.Name) // it can't say so itself
					return nil
				}
				return err
			})
		},
	}
	a.contextFlag(cmd)
	a.timeoutFlag(cmd)
	a.outputFlag(cmd)
	a.waitFlag(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "end VMs at once")
	return cmd
}
