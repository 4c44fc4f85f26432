package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

func (a *app) opCommand() *cobra.Command {
	return nouns("op", "Look at operations: acts that take their time",
		`What takes its time, such as starting a VM, is an operation with an id. It goes on when the
one who asked for it is gone; any administrator can look at it, wait for it, or cancel it.`,
		`  keelctl op list
  keelctl op wait 4f2b1c3d-...`,
		a.opList(), a.opWait(), a.opCancel())
}

func (a *app) opList() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the operations that run, and the last that ended",
		Long:    "List the operations that run and the last that ended, the newest first. It needs the role viewer.",
		Example: "  keelctl op list -o json",
		Args:    cobra.NoArgs,
	}, got("operations"), func(ops api.Operations) error {
		return a.print(ops, func(rows *output.Rows) { tableOfOperations(rows, ops.Operations) })
	})
}

func tableOfOperations(r *output.Rows, ops []api.Operation) {
	if len(ops) == 0 {
		r.Line("no operations")
		return
	}
	r.Header("id", "kind", "target", "state", "progress", "by", "begun", "message")
	for _, op := range ops {
		message := op.Message
		if op.Error != nil {
			message = op.Error.Message
		}
		r.Row(op.ID, op.Kind, op.Target, output.State(op.State), progressOf(op.Progress), op.By, output.Time(op.Created), message)
	}
}

func progressOf(p api.Progress) string {
	switch {
	case p.Total == 0:
		return ""
	case p.Unit == "bytes":
		return output.Size(p.Done) + " of " + output.Size(p.Total)
	}
	return fmt.Sprintf("%d of %d %s", p.Done, p.Total, p.Unit)
}

func (a *app) opWait() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait for an operation's end",
		Long: `Wait for an operation's end, and say how it ended: the exit code is 0 if it succeeded.
Ctrl-C ends the waiting, not the operation. It needs the role viewer.`,
		Example:           "  keelctl op wait 4f2b1c3d-... --timeout 1h",
		Args:              oneOf("operation's id"),
		ValidArgsFunction: a.completeOperations,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(waitTimeout, func(ctx context.Context, r *remote) error {
				op, err := a.await(ctx, r, api.Operation{ID: args[0]})
				if err != nil {
					return err
				}
				return a.showOperation(op)
			})
		},
	}
	a.remoteFlags(cmd)
	timeoutDefault(cmd, "10m")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) showOperation(op api.Operation) error {
	return a.print(op, func(r *output.Rows) {
		r.Field("operation", op.ID)
		r.Field("kind", op.Kind)
		r.Field("target", op.Target)
		r.Field("state", output.State(op.State))
		r.Field("progress", progressOf(op.Progress))
		r.Field("message", op.Message)
		r.Field("by", op.By)
		r.Field("begun", output.Time(op.Created))
		r.Field("ended", output.Time(op.Finished))
	})
}

func (a *app) opCancel() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:   "cancel ID",
		Short: "Give an operation up",
		Long: `Ask a host to give an operation up. What it has done by then may stay done: the answer
says what has become of it. It needs the role operator.`,
		Example:           "  keelctl op cancel 4f2b1c3d-...",
		Args:              oneOf("operation's id"),
		ValidArgsFunction: a.completeOperations,
	}, func(args []string) client.Request {
		return client.Request{Method: http.MethodPost, Path: client.Path("operations", args[0], "cancel")}
	}, a.showOperation)
}

// waitStep is how long one call waits for an operation's end.
const waitStep = 20 * time.Second

// await waits for an operation's end and shows its progress. An operation that didn't succeed is an error. When the
// waiting ends first, it says that the operation goes on.
func (a *app) await(ctx context.Context, r *remote, op api.Operation) (api.Operation, error) {
	b := a.newBar(strings.TrimSpace(op.Kind+" "+op.Target), 0, false)
	defer func() { b.end() }()
	for {
		if op.State != "" {
			b.set(int64(op.Progress.Done), int64(op.Progress.Total), op.Message)
		}
		if op.State != "" && op.State != api.OpRunning {
			b.end()
			b = nil
			return op, ended(r, op)
		}
		var next api.Operation // a message that is over isn't in it any more
		err := r.Get(ctx, client.Path("operations", op.ID, "wait"), url.Values{"wait": {waitStep.String()}}, &next)
		if err == nil {
			op = next
			continue
		}
		if ctx.Err() == nil {
			return op, err
		}
		b.end()
		b = nil
		how := fmt.Sprintf("operation %s goes on: `keelctl op wait %s --host %s` waits for it, `keelctl op cancel` gives it up", op.ID, op.ID, r.host.Name)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return op, exit.Errorf(exit.Timeout, "%s: not done in time; %s", r.host.Name, how)
		}
		return op, exit.Errorf(exit.Interrupted, "interrupted; %s", how)
	}
}

// ended is the error of an operation that has ended.
func ended(r *remote, op api.Operation) error {
	what := strings.TrimSpace(op.Kind + " " + op.Target)
	switch op.State {
	case api.OpFailed:
		if op.Error == nil {
			return exit.Errorf(exit.Fault, "%s: %s failed", r.host.Name, what)
		}
		return &client.Refused{Host: r.host.Name + ": " + what, Status: op.Error.Code.Status(), Answer: op.Error}
	case api.OpCancelled:
		return exit.Errorf(exit.Fault, "%s: %s was cancelled", r.host.Name, what)
	}
	return nil
}

// begin asks for an operation, and waits for its end if that was asked for. done is what to say then.
func (a *app) begin(ctx context.Context, r *remote, path string, in any, done string) error {
	var op api.Operation
	if err := r.Post(ctx, path, in, &op); err != nil {
		return err
	}
	return a.conclude(ctx, r, op, done)
}

// conclude is what follows once an operation has begun.
func (a *app) conclude(ctx context.Context, r *remote, op api.Operation, done string) error {
	if a.options.wait {
		var err error
		if op, err = a.await(ctx, r, op); err != nil {
			return err
		}
	}
	if a.computed() {
		return a.print(op, nil)
	}
	if a.options.wait || op.State == api.OpSucceeded {
		a.note("%s", done)
		return nil
	}
	if op.State != api.OpRunning {
		return ended(r, op)
	}
	a.note("%s: begun, as operation %s (`keelctl op wait` waits for it, --wait would have)", strings.TrimSpace(op.Kind+" "+op.Target), op.ID)
	return nil
}

// waiting is how long a command may take that can wait.
func (a *app) waiting() time.Duration {
	if a.options.wait {
		return waitTimeout
	}
	return callTimeout
}

// each does something for several things: a fault of one doesn't stop the others. The exit code is that of the first.
func (a *app) each(names []string, f func(name string) error) error {
	var first error
	for _, name := range names {
		err := f(name)
		if err == nil {
			continue
		}
		if a.ctx.Err() != nil || errors.As(err, new(*auth.ErrOtherKey)) { // ask finds out what the new key is about
			return err
		}
		first = a.also(first, err)
	}
	return first
}

// also is an error beside one that was before it, if there was: that is said, and its exit code kept.
func (a *app) also(first, err error) error {
	switch {
	case first == nil:
		return err
	case err == nil:
		return first
	}
	a.complain(first)
	return exit.With(exit.Code(first), err)
}

func grantOf(role string, scope map[string]string) string {
	return auth.Grant{Role: auth.Role(role), Scope: scope}.String()
}
