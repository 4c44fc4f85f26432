package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api/client"
)

func (a *app) queryCommand() *cobra.Command {
	var data, match string
	var headers bool
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	cmd := &cobra.Command{
		Use:   "query METHOD PATH",
		Short: "Call the API itself, and print the answer",
		Long: `Call a host's API with a method and a path below /v1, and print the answer as it is.
JSON for a terminal is indented. What the API has is in its own description:
keelctl query GET /v1/openapi.json. A call that changes something needs what GET gave as
ETag, in --if-match. The role that it needs is that of the call.`,
		Example: `  keelctl query GET /v1/version
  keelctl query GET '/v1/audit/records?from=0&count=10'
  keelctl query POST /v1/vms/demo/start
  keelctl query PUT /v1/host/time --data '{"servers":[]}' --if-match '"..."'`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) != 2:
				return fmt.Errorf("give a method and a path, as GET /v1/version")
			case !slices.Contains(methods, strings.ToUpper(args[0])):
				return fmt.Errorf("%s is no method: give %s", args[0], strings.Join(methods, ", "))
			case !strings.HasPrefix(args[1], "/"):
				return fmt.Errorf("%s is no path: give one as /v1/version", args[1])
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return methods, cobra.ShellCompDirectiveNoFileComp
			case 1:
				return apiPaths(args[0]), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			path, rawQuery, _ := strings.Cut(args[1], "?")
			query, err := url.ParseQuery(rawQuery)
			if err != nil {
				return exit.Errorf(exit.Usage, "%s: %w", args[1], err)
			}
			request := client.Request{Method: strings.ToUpper(args[0]), Path: path, Query: query, Match: match}
			if data != "" {
				text := []byte(data)
				if name, ok := strings.CutPrefix(data, "@"); ok {
					if text, err = a.readFile(name); err != nil {
						return err
					}
				}
				request.Body, request.Size = bytes.NewReader(text), int64(len(text))
				if json.Valid(text) {
					request.In, request.Body = json.RawMessage(text), nil
				}
			}
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				response, err := r.Do(ctx, request)
				if err != nil {
					return err
				}
				defer response.Body.Close()
				if headers || request.Method == http.MethodHead {
					fmt.Fprintf(a.stdout, "%s %s\n", response.Proto, response.Status)
					for _, name := range slices.Sorted(maps.Keys(response.Header)) {
						fmt.Fprintf(a.stdout, "%s: %s\n", name, output.Clean(strings.Join(response.Header[name], ", ")))
					}
					fmt.Fprintln(a.stdout)
				}
				return a.printAnswer(response)
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVarP(&data, "data", "d", "", "the body; @FILE reads it from a file, @- from stdin")
	cmd.Flags().StringVar(&match, "if-match", "", "the ETag that what is changed must have")
	cmd.Flags().BoolVarP(&headers, "include", "i", false, "print the answer's status and headers as well")
	return cmd
}

// printAnswer prints an answer: as it is, or for a terminal so that it can be read and does no harm.
func (a *app) printAnswer(response *http.Response) error {
	if !a.terminal.Stdout() {
		_, err := io.Copy(a.stdout, response.Body)
		return err
	}
	if kind := response.Header.Get("Content-Type"); strings.HasPrefix(kind, "application/json") {
		text, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if json.Indent(&b, text, "", "  ") == nil {
			text = append(bytes.TrimSpace(b.Bytes()), '\n')
		}
		_, err = output.Printable(a.stdout).Write(text)
		return err
	}
	_, err := io.Copy(output.Printable(a.stdout), response.Body)
	return err
}
