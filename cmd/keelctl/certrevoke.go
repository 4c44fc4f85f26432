package main

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

func (a *app) certRevoke() *cobra.Command {
	var reason, host string
	cmd := &cobra.Command{
		Use:   "revoke {NAME | SERIAL}...",
		Short: "End the use of certificates, on all hosts",
		Long: `End the use of certificates, by their holder's name or their serial numbers, on every host
of the context (or on the one of --host). It takes effect within seconds, on connections that
are open too. Your own is refused: another administrator has to end that.

A host forgets it when it restarts: ` + "`keelctl seed create`" + ` puts what was revoked here into the
seeds that it makes from then on, so renew the host's seed. It needs the role admin.`,
		Example: `  keelctl cert revoke bob --reason "has left"
  keelctl cert revoke 4a5b6c7d8e9f00112233445566778899`,
		Args: someOf("name or serial number"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, ca, err := a.contextCA()
			if err != nil {
				return err
			}
			hosts := c.Hosts
			if host = a.options.host; host != "" {
				h, err := c.Find(host)
				if err != nil {
					return err
				}
				hosts = []*config.Host{h}
			}
			serials, err := a.serialsOf(c, args)
			if err != nil {
				return err
			}
			now := a.now()
			for _, serial := range serials { // remembered first: what a host misses, the next seed has
				if err := c.RecordRevoked(serial, reason, now); err != nil {
					return err
				}
			}
			if len(hosts) == 0 {
				a.note("revoked, and no host to tell: context %s has none", c.Name)
				return nil
			}
			names := make([]string, len(hosts))
			for i, h := range hosts {
				names[i] = h.Name
			}
			return a.each(names, func(name string) error {
				h, err := c.Find(name)
				if err != nil {
					return err
				}
				return a.askHost(c, h, callTimeout, func(ctx context.Context, r *remote) error {
					for _, serial := range serials {
						revocation := api.Revocation{Issuer: string(auth.FingerprintOf(ca)), Serial: serial}
						if err := r.Post(ctx, client.Path("trust", "revocations"), revocation, nil); err != nil {
							return err
						}
						a.note("%s: revoked %s", name, serial)
					}
					return nil
				})
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for `keelctl cert list`")
	return cmd
}

// serialsOf returns the serial numbers of what is to be revoked.
func (a *app) serialsOf(c *config.Context, args []string) (serials []string, err error) {
	list, err := c.Issued()
	if err != nil {
		return nil, err
	}
	own := ""
	if mine, err := readCertificate(c.CertFile()); err == nil {
		own = auth.Serial(mine)
	}
	for _, arg := range args {
		found, err := config.FindIssued(list, arg, a.now())
		if serial, bad := auth.ParseSerial(arg); err != nil && bad == nil && len(strings.ReplaceAll(arg, ":", "")) >= 16 {
			found, err = []config.Issued{{Serial: serial}}, nil // one that was signed elsewhere
		}
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			if i.Serial == own { // a host refuses it, and the next seed would lock its maker out
				return nil, exit.Errorf(exit.Usage, "%s is your own certificate: have another administrator revoke it", i.Serial)
			}
			serials = append(serials, i.Serial)
		}
	}
	return serials, nil
}

func (a *app) certRevoked() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoked",
		Short: "Print what was revoked, as seeds and images take it",
		Long: `Print the certificates of the context's CA that were revoked here and haven't expired yet, in
the form of a seed's trust.revoked. ` + "`keelctl seed create`" + ` puts them into its seeds by itself; this
is for seeds that are made elsewhere, and for images (make image REVOKED=FILE), which never
believe them, even where an old seed would. It asks no host.`,
		Example: `  keelctl cert revoked -o json > revoked.json
  keelctl cert revoked -o yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, ca, err := a.contextCA()
			if err != nil {
				return err
			}
			list, err := a.revoked(c, ca)
			if err != nil {
				return err
			}
			return a.print(list, func(r *output.Rows) {
				if len(list) == 0 {
					r.Line("nothing was revoked here")
					return
				}
				r.Header("serial", "issuer")
				for _, i := range list {
					r.Row(i.Serial, i.Issuer)
				}
			})
		},
	}
	a.contextFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

// revoked returns the certificates of a context's CA that were revoked here and may still be believed by somebody.
func (a *app) revoked(c *config.Context, ca *x509.Certificate) ([]auth.RevokedCertificate, error) {
	issued, err := c.Issued()
	if err != nil {
		return nil, err
	}
	list := []auth.RevokedCertificate{}
	for _, i := range issued {
		over := !i.NotAfter.IsZero() && a.now().After(i.NotAfter.Add(24*time.Hour)) // a host's clock may be behind
		if !i.Revoked.IsZero() && !over {
			list = append(list, auth.RevokedCertificate{Issuer: auth.FingerprintOf(ca), Serial: i.Serial})
		}
	}
	return list, nil
}
