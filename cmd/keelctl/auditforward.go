package main

import (
	"context"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) auditForwarding() *cobra.Command {
	return nouns("forwarding", "Send the audit log to a collector",
		`The audit log can be sent to a collector, as RFC 5424 over TLS. Nothing is lost when the
collector is down: the host then refuses changes, but can still be read, stop VMs, be shut
down, and have its forwarding repaired.`,
		`  keelctl audit forwarding show
  keelctl audit forwarding set --collector logs.example.org --ca collector-ca.pem`,
		a.forwardingShow(), a.forwardingSet())
}

func (a *app) showForwarding(s api.AuditForwardingStatus) error {
	return a.print(s, func(r *output.Rows) {
		if s.Config.Address == "" {
			r.Line("the audit log is sent nowhere")
			return
		}
		r.Field("collector", s.Config.Address)
		r.Field("its name", s.Config.Name)
		r.Field("its key", s.Config.Pin)
		state := output.Cell{Text: "connected", Style: output.Good}
		if !s.Connected {
			state = output.Cell{Text: "not connected", Style: output.Warn}
		}
		r.Field("state", state)
		r.Field("has confirmed", count(int(s.Confirmed), "record"))
		r.Field("waiting", count(int(s.Size-s.Confirmed), "record"))
		r.Field("failing since", output.Time(s.Since))
		if s.Error != "" {
			r.Field("error", output.Cell{Text: s.Error, Style: output.Bad})
		}
	})
}

func (a *app) forwardingShow() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "show",
		Short:   "Show where the audit log is sent, and how far it is",
		Long:    "Show where the audit log is sent, what the collector has confirmed, and what is wrong. It needs the role auditor or admin.",
		Example: "  keelctl audit forwarding show",
		Args:    cobra.NoArgs,
	}, got("audit", "forwarding"), a.showForwarding)
}

func (a *app) forwardingSet() *cobra.Command {
	var set api.AuditForwarding
	var caFile string
	var off bool
	cmd := &cobra.Command{
		Use:   "set {--collector ADDRESS {--ca FILE | --pin FINGERPRINT} | --off}",
		Short: "Say where the audit log is sent",
		Long: `Say where the audit log is sent: to a collector that takes RFC 5424 over TLS (RFC 5425) and
is known by the CA that has signed its certificate, or by its key. --off ends it. It holds
until the host restarts. It needs the role admin.`,
		Example: `  keelctl audit forwarding set --collector logs.example.org:6514 --ca collector-ca.pem
  keelctl audit forwarding set --off`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case off && set.Address != "":
				return exit.Errorf(exit.Usage, "--off makes no sense with --collector: give one")
			case !off && set.Address == "":
				return exit.Errorf(exit.Usage, "give --collector, or --off")
			case !off && caFile == "" && set.Pin == "":
				return exit.Errorf(exit.Usage, "how is the collector known? Give --ca or --pin")
			}
			if off {
				set = api.AuditForwarding{}
			} else if caFile != "" {
				text, err := os.ReadFile(caFile)
				if err != nil {
					return err
				}
				set.CA = string(text)
			}
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				path := client.Path("audit", "forwarding")
				header, err := r.Call(ctx, client.Request{Method: http.MethodGet, Path: path}, nil)
				if err != nil {
					return err
				}
				var s api.AuditForwardingStatus
				if _, err := r.Call(ctx, client.Request{Method: http.MethodPut, Path: path, In: set, Match: header.Get("ETag")}, &s); err != nil {
					return err
				}
				return a.showForwarding(s)
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().StringVar(&set.Address, "collector", "", "the collector, with a port if it isn't 6514")
	cmd.Flags().StringVar(&set.Name, "name", "", "the name in the collector's certificate (default: that of the address)")
	cmd.Flags().StringVar(&caFile, "ca", "", "a file with the certificate of who signs the collector's")
	cmd.MarkFlagFilename("ca", "pem", "crt")
	cmd.Flags().StringVar(&set.Pin, "pin", "", "the fingerprint of the collector's key")
	cmd.Flags().BoolVar(&set.Bare, "bare", false, "the end of the connection without TLS's close_notify confirms too: for collectors that don't send it")
	cmd.Flags().BoolVar(&off, "off", false, "send it nowhere")
	return cmd
}
