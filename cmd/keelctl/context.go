package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/auth"
)

func (a *app) contextCommand() *cobra.Command {
	return nouns("context", "Choose among the sets of hosts that you manage",
		`A context is a set of hosts that trust one operator CA, with your key and certificate
for them. `+"`keelctl init`"+` makes the first; there may be several, one of them current.`,
		`  keelctl context list
  keelctl context use lab`,
		a.contextList(), a.contextUse(), a.contextShow(), a.contextDelete())
}

// contextInfo is a context as it is printed.
type contextInfo struct {
	Name      string     `json:"name"`
	Current   bool       `json:"current"`
	User      string     `json:"user,omitempty"`
	Role      string     `json:"role,omitempty"`
	Key       string     `json:"key,omitempty"` // the fingerprint of the user's
	NotAfter  string     `json:"notAfter,omitempty"`
	Authority bool       `json:"authority"` // the CA's key is here
	Default   string     `json:"defaultHost,omitempty"`
	Hosts     []hostInfo `json:"hosts"`
	Dir       string     `json:"directory"`
}

// hostInfo is a host of a context as it is printed.
type hostInfo struct {
	Name        string `json:"name"`
	Address     string `json:"address"`
	Fingerprint string `json:"fingerprint"`
	KeepsKey    bool   `json:"keepsKey"`
	Default     bool   `json:"default"`
}

func (a *app) contextInfo(f *config.File, c *config.Context) contextInfo {
	info := contextInfo{Name: c.Name, Current: c.Name == f.Current, User: c.User, Default: c.Host, Dir: c.Dir(),
		Authority: config.Exists(c.CAKeyFile()), Hosts: []hostInfo{}}
	if own, err := readCertificate(c.CertFile()); err == nil {
		info.Key = string(auth.FingerprintOf(own))
		if id, err := auth.IdentityOf(own); err == nil {
			info.Role, info.NotAfter = id.Grant.String(), output.Time(id.NotAfter)
		}
	}
	for _, h := range c.Hosts {
		info.Hosts = append(info.Hosts, hostInfo{h.Name, h.Address, h.Fingerprint, h.KeepsKey, h.Name == c.Host})
	}
	return info
}

func (a *app) contextList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the contexts",
		Long:    "List the contexts, with who you are in each and how many hosts it has. It asks no host.",
		Example: "  keelctl context list -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := a.configuration()
			if err != nil {
				return err
			}
			infos := []contextInfo{}
			for _, c := range f.Contexts {
				infos = append(infos, a.contextInfo(f, c))
			}
			return a.print(infos, func(r *output.Rows) {
				if len(infos) == 0 {
					r.Line("no contexts: `keelctl init` makes one")
					return
				}
				r.Header("", "name", "user", "role", "until", "hosts", "default host")
				for _, i := range infos {
					mark := " "
					if i.Current {
						mark = "*"
					}
					r.Row(mark, i.Name, i.User, i.Role, i.NotAfter, len(i.Hosts), i.Default)
				}
			})
		},
	}
	a.outputFlag(cmd)
	return cmd
}

func (a *app) contextUse() *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "use NAME",
		Short: "Make a context the current one",
		Long: `Make a context the current one: that of all commands without --context and KEEL_CONTEXT.
With --default-host it also says which of its hosts is meant without --host.`,
		Example: `  keelctl context use lab
  keelctl context use lab --default-host keel-2`,
		Args:              oneOf("context"),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			f, c, err := a.named(args[0])
			if err != nil {
				return err
			}
			if host != "" {
				if _, err := c.Find(host); err != nil {
					return err
				}
				c.Host = host
			}
			f.Current = c.Name
			return f.Save()
		},
	}
	cmd.Flags().StringVar(&host, "default-host", "", "the host that is meant without --host")
	return cmd
}

func (a *app) contextShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show [NAME]",
		Short:             "Show a context: who you are in it, and its hosts",
		Long:              "Show a context, by default the current one: who you are in it, its hosts with the keys that they were pinned to, and where its files are.",
		Example:           "  keelctl context show",
		Args:              atMost("context"),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.options.context = args[0]
			}
			c, err := a.context()
			if err != nil {
				return err
			}
			info := a.contextInfo(a.file, c)
			return a.print(info, func(r *output.Rows) {
				r.Field("context", info.Name)
				r.Field("user", info.User)
				r.Field("role", info.Role)
				r.Field("key", info.Key)
				r.Field("certificate until", info.NotAfter)
				if info.Authority {
					r.Field("operator CA", "its key is here: you can sign requests and seeds")
				} else {
					r.Field("operator CA", "its key is not here")
				}
				r.Field("default host", info.Default)
				r.Field("directory", info.Dir)
				tableOfHosts(r, info.Hosts)
			})
		},
	}
	a.outputFlag(cmd)
	return cmd
}

func (a *app) contextDelete() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Forget a context",
		Long: `Forget a context and its hosts. Its keys and certificates stay where they are, unless
--purge destroys them: then nobody who lacks a copy of the CA's key can ever sign for its
hosts again.`,
		Example:           "  keelctl context delete lab",
		Args:              oneOf("context"),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			f, c, err := a.named(args[0])
			if err != nil {
				return err
			}
			f.Delete(c.Name)
			if err := f.Save(); err != nil {
				return err
			}
			if purge {
				return os.RemoveAll(c.Dir())
			}
			if config.Exists(c.Dir()) {
				a.note("note: its keys are still in %s (--purge would have destroyed them)", c.Dir())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "destroy its keys and certificates as well")
	return cmd
}

// named returns a context by its name, and the file that it is in.
func (a *app) named(name string) (*config.File, *config.Context, error) {
	f, err := a.configuration()
	if err != nil {
		return nil, nil, err
	}
	c, err := f.Find(name)
	return f, c, err
}

func tableOfHosts(r *output.Rows, hosts []hostInfo) {
	if len(hosts) == 0 {
		return
	}
	r.Break()
	r.Header("", "host", "address", "key")
	for _, h := range hosts {
		mark := " "
		if h.Default {
			mark = "*"
		}
		key := h.Fingerprint
		if !h.KeepsKey {
			key += " (until it restarts)"
		}
		r.Row(mark, h.Name, h.Address, key)
	}
}

// inFile names a file in an error about its contents.
func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	return exit.With(exit.Code(err), fmt.Errorf("%s: %w", filepath.Clean(path), err))
}
