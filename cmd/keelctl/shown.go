package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/output"
	"keel/vmkernel/api/client"
)

// shown makes cmd a command of one call, which call makes of its arguments, whose answer show prints.
func shown[T any](a *app, cmd *cobra.Command, call func(args []string) client.Request, show func(T) error) *cobra.Command {
	cmd.RunE = func(_ *cobra.Command, args []string) error { return answered(a, call(args), show) }
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	return cmd
}

// answered makes one call, and has show print the answer.
func answered[T any](a *app, call client.Request, show func(T) error) error {
	return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
		var answer T
		if _, err := r.Call(ctx, call, &answer); err != nil {
			return err
		}
		return show(answer)
	})
}

// got is the call of a command without arguments that changes nothing.
func got(parts ...string) func([]string) client.Request {
	return func([]string) client.Request {
		return client.Request{Method: http.MethodGet, Path: client.Path(parts...)}
	}
}

// followed makes cmd a command that prints a stream, and with --follow goes on until Ctrl-C. line is one of its values as
// text, empty for one that isn't to be printed.
func followed[T any](a *app, cmd *cobra.Command, of string, line func(v T, args []string) string, parts ...string) *cobra.Command {
	var follow bool
	var from uint64
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return a.askOn(follow, func(ctx context.Context, r *remote) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			query := url.Values{"follow": {strconv.FormatBool(follow)}, "from": {strconv.FormatUint(from, 10)}}
			return client.Each(ctx, r.Conn, client.Path(parts...), query, func(v T) error {
				text := line(v, args)
				if text == "" {
					return nil
				}
				if p.Format != output.Table {
					return a.printLine(p.Format, v)
				}
				_, err := fmt.Fprintln(a.stdout, output.Clean(text))
				return err
			})
		})
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	cmd.Flags().Uint64Var(&from, "from", 1, "the number of the first "+of)
	return cmd
}

// askOn is ask for what goes on until Ctrl-C if follow says so: that is no failure.
func (a *app) askOn(follow bool, f func(ctx context.Context, r *remote) error) error {
	limit := callTimeout
	if follow {
		limit = 0
	}
	err := a.ask(limit, f)
	if follow && a.ctx.Err() != nil {
		return nil
	}
	return err
}

// printLine writes one of a stream of values: a line of JSON, or a YAML document.
func (a *app) printLine(f output.Format, v any) error {
	if f == output.YAML {
		fmt.Fprintln(a.stdout, "---")
		return output.WriteYAML(a.stdout, v)
	}
	return output.WriteLine(a.stdout, v)
}
