package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
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
