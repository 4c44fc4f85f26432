package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) hostTime() *cobra.Command {
	return nouns("time", "Show or set a host's clock",
		"A host takes its time from SNTP servers where they answer, else from its own clock; it never begins before its image was built or its seed signed.",
		`  keelctl host time show
  keelctl host time set --server 192.0.2.1`,
		a.hostTimeShow(), a.hostTimeSet())
}

func (a *app) showTime(t api.HostTime) error {
	now := a.now()
	return a.print(t, func(r *output.Rows) {
		r.Field("host's clock", output.Time(t.Now))
		if off := t.Now.Sub(now).Round(time.Second); off > 2*time.Second || off < -2*time.Second {
			r.Field("this machine's", output.Cell{Text: output.Time(now) + " (they differ by " + off.String() + ")", Style: output.Warn})
		}
		r.Field("source", t.Source)
		r.Field("servers", strings.Join(t.Servers, ", "))
		r.Field("last answer", output.Time(t.Last))
	})
}

func (a *app) hostTimeShow() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "show",
		Short:   "Show a host's clock, and where it has its time from",
		Long:    "Show a host's clock, where it has its time from, and how far it is from this machine's. It needs the role viewer.",
		Example: "  keelctl host time show",
		Args:    cobra.NoArgs,
	}, got("host", "time"), a.showTime)
}

func (a *app) hostTimeSet() *cobra.Command {
	var at string
	var servers []string
	var dhcp bool
	cmd := &cobra.Command{
		Use:   "set {--time TIME | --now} [--server ADDRESS]...",
		Short: "Set a host's clock, or the servers that it follows",
		Long: `Set a host's clock to a time (RFC 3339) or to this machine's, or say which SNTP servers
it follows. A change of the clock can end the validity of certificates, yours too: the
host refuses a time after the end of your certificate or its CA, and one before its image.
It needs the role admin.`,
		Example: `  keelctl host time set --now
  keelctl host time set --time 2026-11-28T12:00:00Z
  keelctl host time set --server 192.0.2.1 --server 192.0.2.2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var set api.HostTimeSet
			here, _ := cmd.Flags().GetBool("now")
			switch {
			case at != "" && here:
				return exit.Errorf(exit.Usage, "--time and --now make no sense together: give one")
			case dhcp && len(servers) > 0:
				return exit.Errorf(exit.Usage, "--server and --dhcp-servers make no sense together: give one")
			case at != "":
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return exit.Errorf(exit.Usage, "--time %q is no time: give it as 2026-11-28T12:00:00Z", at)
				}
				set.Now = &t
			case !here && len(servers) == 0 && !dhcp:
				return exit.Errorf(exit.Usage, "nothing to set: give --time, --now, --server or --dhcp-servers")
			}
			if len(servers) > 0 || dhcp {
				if servers == nil {
					servers = []string{}
				}
				set.Servers = &servers
			}
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				path := client.Path("host", "time")
				header, err := r.Call(ctx, client.Request{Method: http.MethodGet, Path: path}, nil)
				if err != nil {
					return err
				}
				if here {
					now := a.now().UTC()
					set.Now = &now
				}
				var t api.HostTime
				if _, err := r.Call(ctx, client.Request{Method: http.MethodPut, Path: path, In: set, Match: header.Get("ETag")}, &t); err != nil {
					return err
				}
				return a.showTime(t)
			})
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().StringVar(&at, "time", "", "the time, as 2026-11-28T12:00:00Z")
	cmd.Flags().Bool("now", false, "this machine's time")
	cmd.Flags().StringArrayVar(&servers, "server", nil, "an SNTP server; may be given more than once")
	cmd.Flags().BoolVar(&dhcp, "dhcp-servers", false, "follow the servers that DHCP names")
	return cmd
}
