package main

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/vmkernel/auth"
)

func (a *app) initCommand() *cobra.Command {
	var name, userName, caName string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make your keys: an operator CA, and a certificate as administrator",
		Long: `Make an operator CA, and a key and a certificate by which you are an administrator of
the hosts that trust this CA. The keys stay on this machine, in files that only you can
read; a seed gets the CA's public part alone. Nothing that exists is overwritten.

It needs no host and no network.`,
		Example: `  keelctl init
  keelctl init --context lab --user alice`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := a.configuration()
			if err != nil {
				return err
			}
			if userName == "" {
				userName = currentUser(a.getenv)
			}
			if caName == "" {
				caName = "keel " + name
			}
			c, err := f.Add(name)
			if err != nil {
				return err
			}
			c.User = userName
			ca, err := a.makeKeys(c, caName, life)
			if err != nil {
				return err
			}
			if err := f.Save(); err != nil {
				return err
			}
			a.sayNext(c, ca)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "context", "default", "the name of the context that it makes")
	cmd.Flags().StringVar(&userName, "user", "", "your name, as the audit log will have it (default: that of your account)")
	cmd.Flags().StringVar(&caName, "ca-name", "", `the CA's name, as hosts show it (default: "keel" and the context's)`)
	cmd.Flags().DurationVar(&life, "valid", auth.UserLife, "how long your certificate is valid")
	return cmd
}

// makeKeys makes a context's CA and its administrator, and writes them.
func (a *app) makeKeys(c *config.Context, caName string, life time.Duration) (*auth.CA, error) {
	for _, path := range []string{c.CAFile(), c.CAKeyFile(), c.CertFile(), c.KeyFile()} {
		if config.Exists(path) {
			return nil, exit.Errorf(exit.Conflict, "%s is there already and is not overwritten: move %s away, or give another --context", path, c.Dir())
		}
	}
	now := a.now()
	ca, err := auth.NewCA(caName, now)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	key, request, err := newRequest(c.User)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	r, err := auth.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	own, err := ca.Sign(r, auth.Grant{Role: auth.Admin}, life, now)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	caKey, err := ca.KeyPEM()
	if err != nil {
		return nil, err
	}
	ownKey, err := auth.KeyPEM(key)
	if err != nil {
		return nil, err
	}
	for _, file := range []struct {
		path string
		data []byte
	}{{c.CAKeyFile(), caKey}, {c.CAFile(), ca.CertificatePEM()}, {c.KeyFile(), ownKey}, {c.CertFile(), auth.CertificatePEM(own)}} {
		if err := config.Create(file.path, file.data); err != nil {
			return nil, err
		}
	}
	return ca, c.RecordIssued(issued(own, now))
}

func (a *app) sayNext(c *config.Context, ca *auth.CA) {
	fmt.Fprintf(a.stdout, `made the operator CA %q and the administrator %s, in context %s
  directory       %s
  CA fingerprint  %s

Whoever has %s can make administrators: keep a copy of it
in a safe place, and let nobody else read it.

What comes next:
  1. Describe a host that trusts the CA and has a network, in host.yaml:

       apiVersion: keel/v1
       kind: Host
       name: keel-1
       management: {nic: auto}
       trust: {operatorCAs: [%s]}

  2. Make its seed, signed by the CA, and boot the host with it:

       keelctl seed create -f host.yaml -o seed.tar

  3. Compare the fingerprint that the host's screen shows when you add it:

       keelctl host add ADDRESS

A host without a seed can be claimed instead: keelctl host claim ADDRESS --code CODE
`, ca.Certificate.Subject.CommonName, c.User, c.Name, c.Dir(), ca.Fingerprint().Groups(), c.CAKeyFile(), yamlText(c.CAFile()))
}

// yamlText quotes a path for YAML where that is needed.
func yamlText(s string) string {
	if strings.ContainsAny(s, ` ,:[]{}#&*!|>'"%@\`) {
		return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
	}
	return s
}

// currentUser is the name of the user's account.
func currentUser(getenv func(string) string) string {
	for _, name := range []string{"USER", "USERNAME", "LOGNAME"} {
		if s := getenv(name); s != "" {
			return s
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username[strings.LastIndexByte(u.Username, '\\')+1:]
	}
	return "admin"
}

func newRequest(name string) (crypto.Signer, []byte, error) {
	key, err := auth.NewKey()
	if err != nil {
		return nil, nil, err
	}
	request, err := auth.NewRequest(key, name)
	return key, request, err
}

// issued is what is remembered of a certificate that was signed.
func issued(c *x509.Certificate, now time.Time) config.Issued {
	i := config.Issued{Serial: auth.Serial(c), Name: c.Subject.CommonName, Key: string(auth.FingerprintOf(c)), NotAfter: c.NotAfter, Signed: now.UTC().Truncate(time.Second)}
	if id, err := auth.IdentityOf(c); err == nil {
		i.Role, i.Scope = string(id.Role), id.Scope
	}
	return i
}

// readCertificate reads a file with one certificate.
func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := auth.ParseCertificate(text)
	return c, inFile(path, err)
}

// readCA reads a context's CA with its key.
func readCA(c *config.Context) (*auth.CA, error) {
	key, err := config.ReadSecret(c.CAKeyFile())
	if os.IsNotExist(err) {
		return nil, exit.Errorf(exit.NotFound, "the key of the operator CA is not here (%s): only where `keelctl init` made it can something be signed", c.CAKeyFile())
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.CAFile())
	if err != nil {
		return nil, err
	}
	ca, err := auth.LoadCA(text, key)
	return ca, inFile(filepath.Dir(c.CAFile()), err)
}
