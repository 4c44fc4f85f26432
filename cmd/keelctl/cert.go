package main

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/auth"
)

func (a *app) certCommand() *cobra.Command {
	return nouns("cert", "Give and take away access: certificates of administrators",
		`A host lets in whoever has a certificate of an operator CA that it trusts, and the
certificate says in which role. Keys are never sent: a new administrator makes a key and
a request on his machine, and who has the CA's key answers with a certificate.

  he:   keelctl cert request --user bob          makes bob.csr
  you:  keelctl cert sign bob.csr --role operator   makes bob.pem
  he:   keelctl cert install bob.pem
  he:   keelctl host add ADDRESS

The roles are viewer (sees), operator (runs VMs and types into their consoles), admin
(everything) and auditor (reads the audit log alone). --label limits a role to the VMs
that have these labels.`,
		`  keelctl cert request --user bob
  keelctl cert sign bob.csr --role operator --label tier=test
  keelctl cert revoke bob`,
		a.certRequest(), a.certSign(), a.certInstall(), a.certList(), a.certRevoke(), a.certRevoked(), a.certRenew())
}

func (a *app) certRequest() *cobra.Command {
	var name, userName, path string
	cmd := &cobra.Command{
		Use:   "request",
		Short: "Make a key, and a request for a certificate for it",
		Long: `Make a key that stays on this machine, and a request for a certificate for it, to be
sent to who has the operator CA's key (he answers by ` + "`keelctl cert sign`" + `). The request
holds no secret.

It makes the context if there is none of that name, and needs no host.`,
		Example: `  keelctl cert request --user bob
  keelctl cert request --context lab --user bob -o -`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := a.configuration()
			if err != nil {
				return err
			}
			if userName == "" {
				userName = currentUser(a.getenv)
			}
			c, err := f.Find(name)
			if err != nil {
				if c, err = f.Add(name); err != nil {
					return err
				}
				c.User = userName
			}
			if config.Exists(c.CertFile()) {
				return exit.Errorf(exit.Conflict, "context %s has a certificate already: renew it by `keelctl cert renew`, or give another --context", name)
			}
			if config.Exists(c.RequestKeyFile()) {
				return exit.Errorf(exit.Conflict, "context %s has a request already, %s: have that one signed, or remove %s to give it up",
					name, c.RequestFile(), c.RequestKeyFile())
			}
			key, request, err := newRequest(userName)
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			if err := writeRequest(c, key, request); err != nil {
				return err
			}
			if err := f.Save(); err != nil {
				return err
			}
			if path == "" {
				path = fileName(userName) + ".csr"
			}
			if err := a.give(path, request); err != nil || path == "-" {
				return err
			}
			a.note("wrote %s: send it to who has the operator CA's key; with the answer, `keelctl cert install FILE`", path)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "context", "default", "the context that the certificate will be for")
	env(cmd.Flags().Lookup("context"), "KEEL_CONTEXT")
	cmd.RegisterFlagCompletionFunc("context", a.completeContexts)
	cmd.Flags().StringVar(&userName, "user", "", "your name, as the audit log will have it (default: that of your account)")
	cmd.Flags().StringVarP(&path, "output", "o", "", "the file for the request; - is standard output (default: USER.csr)")
	return cmd
}

// writeRequest keeps a request and its key until it is answered.
func writeRequest(c *config.Context, key crypto.Signer, request []byte) error {
	text, err := auth.KeyPEM(key)
	if err != nil {
		return err
	}
	if err := config.Create(c.RequestKeyFile(), text); err != nil {
		return err
	}
	return config.Write(c.RequestFile(), request)
}

// give writes something to be passed on: not a secret.
func (a *app) give(path string, data []byte) error {
	if path == "-" {
		_, err := a.stdout.Write(data)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return exit.Errorf(exit.Conflict, "%s is there already and is not overwritten: give another name by -o", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// fileName makes a name of a file from a user's.
func fileName(user string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r <= ' ' {
			return '-'
		}
		return r
	}, user)
}

func (a *app) certSign() *cobra.Command {
	var role, path string
	var labels []string
	var life time.Duration
	var seeds bool
	cmd := &cobra.Command{
		Use:   "sign FILE.csr {--role ROLE | --seeds}",
		Short: "Answer a request for a certificate",
		Long: `Sign a request of another administrator (` + "`keelctl cert request`" + `), and say by --role what
he may do. What it writes holds his certificate and the CA's, and no secret; it works for
all hosts that trust the CA, at once.

With --seeds the key may sign seeds and do nothing else: for a machine that makes seeds
and shouldn't have the CA's key.

It needs the operator CA's key, and no host. Compare the key's fingerprint with who sent
the request, unless you had it from his hand.`,
		Example: `  keelctl cert sign bob.csr --role operator
  keelctl cert sign eve.csr --role viewer --label tier=test --valid 720h -o eve.pem`,
		Args: oneOf("request"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			if seeds && (role != "" || len(labels) > 0) {
				return exit.Errorf(exit.Usage, "--seeds makes no sense with --role or --label: give one")
			}
			grant, err := parseGrant(role, labels)
			if err != nil && !seeds {
				return exit.Errorf(exit.Usage, "--role and --label: %w", err)
			}
			text, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			request, err := auth.ParseRequest(text)
			if err != nil {
				return inFile(args[0], err)
			}
			ca, err := readCA(c)
			if err != nil {
				return err
			}
			what, sign := grant.String(), func() (*x509.Certificate, error) { return ca.Sign(request, grant, life, a.now()) }
			if seeds {
				what, sign = "may sign seeds", func() (*x509.Certificate, error) { return ca.SignSeeder(request, life, a.now()) }
			}
			signed, err := sign()
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			if err := c.RecordIssued(issued(signed, a.now())); err != nil {
				return err
			}
			if path == "" {
				path = fileName(request.Name) + ".pem"
			}
			if err := a.give(path, append(auth.CertificatePEM(signed), ca.CertificatePEM()...)); err != nil {
				return err
			}
			a.note("%s: %s, until %s; key %s", request.Name, what, output.Time(signed.NotAfter), request.Key.Groups())
			if path != "-" {
				a.note("wrote %s: send it back, for `keelctl cert install`", path)
			}
			return nil
		},
	}
	a.contextFlag(cmd)
	cmd.Flags().StringVar(&role, "role", "", "viewer, operator, admin or auditor")
	cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]cobra.Completion{"viewer", "operator", "admin", "auditor"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringArrayVar(&labels, "label", nil, "only for VMs with this label, as tier=test; may be given more than once")
	cmd.Flags().DurationVar(&life, "valid", auth.UserLife, "how long it is valid")
	cmd.Flags().BoolVar(&seeds, "seeds", false, "the key may sign seeds, and do nothing else")
	cmd.Flags().StringVarP(&path, "output", "o", "", "the file for the certificate; - is standard output (default: USER.pem)")
	return cmd
}

// parseGrant reads a role and the labels that it is limited to.
func parseGrant(role string, labels []string) (auth.Grant, error) {
	r, err := auth.ParseRole(role)
	if err != nil {
		return auth.Grant{}, err
	}
	g := auth.Grant{Role: r}
	for _, label := range labels {
		name, value, ok := strings.Cut(label, "=")
		if !ok {
			return g, fmt.Errorf("--label %s has no =: give it as tier=test", label)
		}
		if g.Scope == nil {
			g.Scope = map[string]string{}
		}
		g.Scope[name] = value
	}
	return g, g.Check()
}

// readFile reads a file or, for -, stdin.
func (a *app) readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(a.stdin, auth.MaxPEM+1))
	}
	return os.ReadFile(path)
}

func (a *app) certList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the certificates that were signed here",
		Long: `List the certificates that this context's CA has signed on this machine: for whom, in
which role, until when, and whether they were revoked. -o json has their keys' fingerprints
as well, for trust.lockdown in a seed. It asks no host.`,
		Example: `  keelctl cert list
  keelctl cert list --all -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			list, err := c.Issued()
			if err != nil {
				return err
			}
			now := a.now()
			if !all {
				list = slices.DeleteFunc(list, func(i config.Issued) bool { return !now.Before(i.NotAfter) })
			}
			if list == nil {
				list = []config.Issued{}
			}
			own := ""
			if mine, err := readCertificate(c.CertFile()); err == nil {
				own = auth.Serial(mine)
			}
			return a.print(list, func(r *output.Rows) {
				if len(list) == 0 {
					r.Line("no certificate was signed here")
					return
				}
				r.Header("", "name", "role", "until", "state", "serial")
				for _, i := range list {
					mark := " "
					if i.Serial == own {
						mark = "*"
					}
					r.Row(mark, i.Name, auth.Grant{Role: auth.Role(i.Role), Scope: i.Scope}.String(), output.Time(i.NotAfter), certState(i, now), i.Serial)
				}
				if ca, err := readCertificate(c.CAFile()); err == nil {
					r.Line("operator CA %s: %s, until %s", ca.Subject.CommonName, auth.FingerprintOf(ca), output.Time(ca.NotAfter))
				}
			})
		},
	}
	a.contextFlag(cmd)
	a.outputFlag(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "those that have expired as well")
	return cmd
}

func certState(i config.Issued, now time.Time) output.Cell {
	left := i.NotAfter.Sub(now)
	switch {
	case !i.Revoked.IsZero():
		return output.Cell{Text: "revoked", Style: output.Bad}
	case left <= 0:
		return output.Cell{Text: "expired", Style: output.Dim}
	case left < auth.WarnBefore:
		return output.Cell{Text: fmt.Sprintf("ends in %d days", int(left.Hours())/24), Style: output.Warn}
	}
	return output.Cell{Text: "good", Style: output.Good}
}
