package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
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
				var before api.Host
				if a.options.wait {
					if err := r.Get(ctx, client.Path("host"), nil, &before); err != nil {
						return err
					}
				}
				var op api.Operation
				if err := r.Post(ctx, client.Path("host", verb), api.HostStop{Force: force}, &op); err != nil {
					return err
				}
				if err := a.conclude(ctx, r, op, verb+" of "+r.host.Name+" is under way"); err != nil && !(a.options.wait && down(ctx, err)) {
					return err
				}
				if !a.options.wait {
					return nil
				}
				return a.untilDown(ctx, r, before.Boot)
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

// How long it is from one look at a host that goes down to the next, and for how long one that is up may not answer.
const (
	downStep    = 250 * time.Millisecond
	downSilence = 10 * time.Second
)

// untilDown waits until a host can't be reached any more, or has booted again: once its VMs have stopped it still has its
// last records to send.
func (a *app) untilDown(ctx context.Context, r *remote, boot string) error {
	for {
		var now api.Host
		look, cancel := context.WithTimeout(ctx, downSilence)
		err := r.Get(look, client.Path("host"), nil, &now)
		silent := look.Err() != nil && ctx.Err() == nil // a machine that is off refuses no connection
		cancel()
		switch {
		case silent, down(ctx, err), err == nil && now.Boot != boot:
			a.note("%s has gone down", r.host.Name) // it can't say so itself
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return exit.Errorf(exit.Timeout, "%s: its VMs have stopped, and it hasn't gone down in time", r.host.Name)
		case <-time.After(downStep):
		}
	}
}

// down says whether a call failed since the host isn't there any more, or is there with another key.
func down(ctx context.Context, err error) bool {
	if ctx.Err() != nil || err == nil {
		return false
	}
	var lost *client.Failure
	return errors.As(err, new(*auth.ErrOtherKey)) || errors.As(err, &lost) && exit.Code(err) == exit.Unreachable
}
