package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
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

func (a *app) certInstall() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install FILE.pem",
		Short: "Take the answer to your request",
		Long: `Take the answer to ` + "`keelctl cert request`" + ` or ` + "`keelctl cert renew`" + `: your certificate, which has
to be for the key that was made then, and the operator CA's. It needs no host.`,
		Example: "  keelctl cert install bob.pem",
		Args:    oneOf("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			text, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			own, ca, err := parseAnswer(text)
			if err != nil {
				return inFile(args[0], err)
			}
			what := "may sign seeds"
			if !auth.SignsSeeds(own) {
				id, err := auth.IdentityOf(own)
				if err != nil {
					return inFile(args[0], err)
				}
				what = id.Grant.String()
			}
			if err := a.installKey(c, own); err != nil {
				return err
			}
			if old, err := readCertificate(c.CAFile()); err == nil && ca != nil && auth.FingerprintOf(old) != auth.FingerprintOf(ca) {
				a.note("note: the operator CA is another than before: %s", auth.FingerprintOf(ca).Groups())
			}
			if ca != nil && !config.Exists(c.CAKeyFile()) {
				if err := config.Write(c.CAFile(), auth.CertificatePEM(ca)); err != nil {
					return err
				}
			}
			if err := config.Write(c.CertFile(), auth.CertificatePEM(own)); err != nil {
				return err
			}
			c.User = own.Subject.CommonName
			if err := a.file.Save(); err != nil {
				return err
			}
			a.note("you are %s, %s, in context %s until %s", c.User, what, c.Name, output.Time(own.NotAfter))
			if len(c.Hosts) == 0 && !auth.SignsSeeds(own) {
				a.note("what comes next: keelctl host add ADDRESS")
			}
			return nil
		},
	}
	a.contextFlag(cmd)
	return cmd
}

// installKey puts the key that a certificate is for where it belongs: that of the request, or the one in use.
func (a *app) installKey(c *config.Context, own *x509.Certificate) error {
	want := auth.FingerprintOf(own)
	for _, path := range []string{c.RequestKeyFile(), c.KeyFile()} {
		text, err := config.ReadSecret(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		key, err := auth.ParseKey(text)
		if err != nil {
			return inFile(path, err)
		}
		if has, err := auth.FingerprintOfKey(key); err != nil || has != want {
			continue
		}
		if path == c.KeyFile() {
			return nil
		}
		if err := config.Write(c.KeyFile(), text); err != nil {
			return err
		}
		os.Remove(c.RequestKeyFile())
		os.Remove(c.RequestFile())
		return nil
	}
	return exit.Errorf(exit.Conflict, "the certificate is for the key %s, which context %s has not: is it the answer to another request?", want, c.Name)
}

// parseAnswer reads a user's certificate and, where it is there, the CA's.
func parseAnswer(text []byte) (own, ca *x509.Certificate, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := auth.ParseCertificate(pem.EncodeToMemory(block))
		if err != nil {
			return nil, nil, err
		}
		switch {
		case c.IsCA && ca == nil:
			ca = c
		case !c.IsCA && own == nil:
			own = c
		default:
			return nil, nil, fmt.Errorf("has more than a user's certificate and a CA's")
		}
	}
	if own == nil {
		return nil, nil, fmt.Errorf("has no user's certificate: give what `keelctl cert sign` has written")
	}
	if ca != nil {
		if err := own.CheckSignatureFrom(ca); err != nil {
			return nil, nil, fmt.Errorf("the certificate isn't signed by the CA beside it: %w", err)
		}
	}
	return own, ca, nil
}

func (a *app) certRenew() *cobra.Command {
	var life time.Duration
	var path string
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Renew your certificate before it ends",
		Long: `Renew your certificate, for the same name, role and key. Where the operator CA's key is, that
is done at once. Elsewhere it makes a request, to be answered by ` + "`keelctl cert sign`" + ` and taken
by ` + "`keelctl cert install`" + `. It needs no host.`,
		Example: "  keelctl cert renew",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			old, err := readCertificate(c.CertFile())
			if err != nil {
				return err
			}
			ca, err := readCA(c)
			if exit.Code(err) == exit.NotFound {
				return a.requestRenewal(c, old, path)
			}
			if err != nil {
				return err
			}
			now := a.now()
			renewed, err := ca.Renew(old, life, now)
			if err != nil {
				return err
			}
			if err := c.RecordIssued(issued(renewed, now)); err != nil {
				return err
			}
			if err := config.Write(c.CertFile(), auth.CertificatePEM(renewed)); err != nil {
				return err
			}
			a.note("renewed: %s until %s", renewed.Subject.CommonName, output.Time(renewed.NotAfter))
			return nil
		},
	}
	a.contextFlag(cmd)
	cmd.Flags().DurationVar(&life, "valid", auth.UserLife, "how long it is valid, where the CA's key is here")
	cmd.Flags().StringVarP(&path, "output", "o", "", "the file for the request; - is standard output (default: USER.csr)")
	return cmd
}

// requestRenewal asks for a new certificate for the key that there is.
func (a *app) requestRenewal(c *config.Context, old *x509.Certificate, path string) error {
	text, err := config.ReadSecret(c.KeyFile())
	if err != nil {
		return err
	}
	key, err := auth.ParseKey(text)
	if err != nil {
		return inFile(c.KeyFile(), err)
	}
	request, err := auth.NewRequest(key, old.Subject.CommonName)
	if err != nil {
		return err
	}
	if path == "" {
		path = fileName(old.Subject.CommonName) + ".csr"
	}
	if err := a.give(path, request); err != nil || path == "-" {
		return err
	}
	what := ""
	if id, err := auth.IdentityOf(old); err == nil {
		what = " (you are " + id.Grant.String() + ")"
	}
	a.note("the operator CA's key is not here: wrote the request %s. Send it to who has it%s; with the answer, `keelctl cert install FILE`", path, what)
	return nil
}

func (a *app) certRevoke() *cobra.Command {
	var reason, host string
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke {NAME | SERIAL}...",
		Short: "End the use of certificates, on all hosts",
		Long: `End the use of certificates, by their holder's name or their serial numbers, on every host
of the context (or on the one of --host). It takes effect within seconds, on connections that
are open too. Your own is refused, unless --yes is given.

A host forgets it when it restarts: ` + "`keelctl seed create`" + ` puts what was revoked here into the
seeds that it makes from then on, so renew the host's seed. It needs the role admin.`,
		Example: `  keelctl cert revoke bob --reason "has left"
  keelctl cert revoke 4a5b6c7d8e9f00112233445566778899`,
		Args: someOf("name or serial number"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			ca, err := readCertificate(c.CAFile())
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
			serials, err := a.serialsOf(c, args, yes)
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
	cmd.Flags().BoolVar(&yes, "yes", false, "your own certificate as well")
	return cmd
}

// serialsOf returns the serial numbers of what is to be revoked.
func (a *app) serialsOf(c *config.Context, args []string, yes bool) (serials []string, err error) {
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
			if i.Serial == own && !yes {
				return nil, exit.Errorf(exit.Usage, "%s is your own certificate: give --yes if you mean it", i.Serial)
			}
			serials = append(serials, i.Serial)
		}
	}
	return serials, nil
}
