package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

func (a *app) hostCommand() *cobra.Command {
	return nouns("host", "Add hosts, look at them, and run them",
		`A host is added once, with the fingerprint of its key, and from then on recognised by it.`,
		`  keelctl host add 192.0.2.10
  keelctl host info
  keelctl host log --follow`,
		a.hostAdd(), a.hostClaim(), a.hostList(), a.hostRemove(),
		a.hostInfo(), a.hostHardware(), a.hostResources(), a.hostHealth(), a.hostLog(), a.hostMetrics(), a.hostSupport(),
		a.hostTime(), a.hostNetwork(), a.hostShutdown(), a.hostRestart())
}

func (a *app) hostAdd() *cobra.Command {
	var name, fingerprint, tokenFile string
	var names []string
	cmd := &cobra.Command{
		Use:   "add ADDRESS [--fingerprint SHA256:... | --token-file FILE]",
		Short: "Add a host to the context, by its address and its key",
		Long: `Add a host to the context. A host is recognised by its key, whose fingerprint it shows on
its screen and serial line. Give that by --fingerprint, or compare it when you are asked.

With --token-file the host proves itself instead, by the token in its seed (trust.token):
for hosts without a screen. The token is kept, so that the host can do it again.

A host that keeps its key over a restart gets a certificate from the operator CA, if that
is here: for its address and name as you give them, and for what else it asks for once you
have said yes, or given it by --names. One that can't keep its key has a new one after each
restart: it then proves itself by the token, or keelctl asks for the fingerprint that its
screen shows.

It needs your certificate, and the host to be up. To give a host that is there already
another key, add it again.`,
		Example: `  keelctl host add 192.0.2.10
  keelctl host add keel-1.example.org --fingerprint "SHA256:8vXt BLjD ..."
  keelctl host add '[2001:db8::10]:8443' --name lab --token-file token`,
		Args: oneOf("address"),
		RunE: func(_ *cobra.Command, args []string) error {
			address, err := hostPort(args[0])
			if err != nil {
				return err
			}
			if fingerprint != "" && tokenFile != "" {
				return exit.Errorf(exit.Usage, "--fingerprint and --token-file make no sense together: give one")
			}
			c, err := a.context()
			if err != nil {
				return err
			}
			own, err := a.ownCertificate(c)
			if err != nil {
				return err
			}
			ctx, cancel := a.bounded(a.limit(waitTimeout)) // somebody may have to walk to the screen
			defer cancel()
			h := &config.Host{Name: name, Address: address}
			token, err := a.meet(ctx, h, own, fingerprint, tokenFile)
			if err != nil {
				return err
			}
			return a.adopt(ctx, c, h, own, token, names)
		},
	}
	a.contextFlag(cmd)
	a.timeoutFlag(cmd)
	cmd.Flags().StringVar(&name, "name", "", "the name that it has here (default: its own)")
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "the key that it must have, as its screen shows it")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "a file with the token of its seed, by which it proves itself")
	cmd.MarkFlagFilename("token-file")
	namesFlag(cmd, &names)
	return cmd
}

// meet finds out the host's key and whether it is to be believed, and returns the token if that was what showed it.
func (a *app) meet(ctx context.Context, h *config.Host, own *tls.Certificate, fingerprint, tokenFile string) (token string, err error) {
	named := h.Name
	if named == "" {
		named = h.Address
	}
	conn := client.New(client.Config{Name: named, Address: h.Address, Client: own, UserAgent: userAgent()})
	got, err := conn.Handshake(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case tokenFile != "":
		if token, err = readToken(tokenFile); err != nil {
			return "", err
		}
		if err := a.proveByToken(ctx, h.Address, named, own, got, token); err != nil {
			return "", err
		}
	case fingerprint != "":
		want, err := auth.ParseFingerprint(fingerprint)
		if err != nil {
			return "", exit.With(exit.Usage, err)
		}
		if got != want {
			return "", exit.Errorf(exit.Unreachable, "what answers at %s has the key %s, not %s: it is another machine, or the host has restarted since", h.Address, got, want)
		}
	case !a.canAsk():
		return "", exit.Errorf(exit.Usage, "the key of %s has to be compared, and there is no terminal to ask: give --fingerprint, as its screen shows it, or --token-file", h.Address)
	default:
		a.note("%s has the key\n\n    %s\n", h.Address, got.Groups())
		a.note("Its screen and its serial line show it as well. Compare them: what differs is another machine.")
		answer, err := a.prompt(ctx, "Is it the same, in all groups? Type yes, or the fingerprint: ")
		if err != nil {
			return "", err
		}
		if answer != "yes" && !sameFingerprint(answer, got) {
			return "", exit.Errorf(exit.Unreachable, "the key was not confirmed: nothing was added")
		}
	}
	h.Fingerprint = string(got)
	return token, nil
}

// adopt asks a host whose key is known for what there is to remember, and remembers it.
func (a *app) adopt(ctx context.Context, c *config.Context, h *config.Host, own *tls.Certificate, token string, names []string) error {
	given := h.Name
	named := *h
	if named.Name == "" {
		named.Name = h.Address
	}
	conn := a.connection(&named, own)
	defer conn.Close()
	var version api.Version
	if err := conn.Get(ctx, client.Path("version"), nil, &version); err != nil {
		return err
	}
	if h.Name == "" {
		h.Name = version.Host
	}
	if err := config.CheckName("host", h.Name); err != nil {
		return err
	}
	if old, err := c.Find(h.Name); err == nil && old.Address != h.Address {
		return exit.Errorf(exit.Conflict, "context %s has a host %s already, at %s: give another --name, or `keelctl host remove %s`", c.Name, h.Name, old.Address, h.Name)
	}
	if given != "" {
		names = append(names, given)
	}
	if err := a.signHost(ctx, c, h, conn, names); err != nil {
		return err
	}
	os.Remove(c.TokenFile(h.Name))
	if token != "" {
		if err := config.Write(c.TokenFile(h.Name), []byte(token+"\n")); err != nil {
			return err
		}
	}
	c.Set(h)
	if err := a.file.Save(); err != nil {
		return err
	}
	a.note("added %s (%s), which runs Keel %s; you are %s, %s", h.Name, h.Address, version.Version, version.You.Name,
		auth.Grant{Role: auth.Role(version.You.Role), Scope: version.You.Scope})
	switch {
	case h.KeepsKey:
	case token != "":
		a.note("note: this host can't keep its key. After a restart it has a new one, and proves itself by the token")
	default:
		a.note("note: this host can't keep its key. After a restart it has a new one: keelctl will ask for the fingerprint that its screen shows then")
	}
	return nil
}

func (a *app) hostClaim() *cobra.Command {
	var name, code string
	var names []string
	cmd := &cobra.Command{
		Use:   "claim ADDRESS --code CODE",
		Short: "Have a host that trusts nobody yet trust your operator CA",
		Long: `Have a host trust your operator CA, by the one-time code that its screen and serial line
show. A host offers that when its seed names no CA and, booted by the entry "Recover access"
of its boot menu, for 15 minutes from when its door opens.

Neither side sends the code: each proves to the other that it knows it, so there is no
fingerprint to compare. The host is added to the context as well.

It needs the operator CA (` + "`keelctl init`" + `), and someone who can read the host's screen.`,
		Example: `  keelctl host claim 192.0.2.10 --code 7K3M-9QRT-4XWB-D2HN`,
		Args:    oneOf("address"),
		RunE: func(_ *cobra.Command, args []string) error {
			address, err := hostPort(args[0])
			if err != nil {
				return err
			}
			if _, err := auth.ParseCode(code); err != nil {
				return exit.Errorf(exit.Usage, "--code: %w", err)
			}
			c, ca, err := a.contextCA()
			if err != nil {
				return err
			}
			own, err := a.ownCertificate(c)
			if err != nil {
				return err
			}
			ctx, cancel := a.bounded(a.limit(callTimeout))
			defer cancel()
			h := &config.Host{Name: name, Address: address}
			stranger := client.New(client.Config{Name: address, Address: address, UserAgent: userAgent()})
			key, err := stranger.Handshake(ctx)
			if err != nil {
				return err
			}
			request, err := auth.NewClaim(code, key, ca, a.now())
			if err != nil {
				return err
			}
			conn := client.New(client.Config{Name: address, Address: address, Expect: auth.Expect{Key: key}, UserAgent: userAgent()})
			defer conn.Close()
			var claimed api.Claimed
			if err := conn.Post(ctx, client.Path("claim"), api.Claim(request), &claimed); err != nil {
				if exit.Code(err) == exit.NotFound || errors.Is(err, auth.ErrNoClaim) {
					return fmt.Errorf("%w; no claim is open: choose `Recover access` in its boot menu", err)
				}
				return err
			}
			if err := request.CheckAnswer(code, key, auth.ClaimAnswer(claimed)); err != nil {
				return exit.With(exit.Unreachable, err)
			}
			a.note("%s trusts the operator CA %q now", address, ca.Subject.CommonName)
			h.Fingerprint = string(key)
			return a.adopt(ctx, c, h, own, "", names)
		},
	}
	a.contextFlag(cmd)
	a.timeoutFlag(cmd)
	cmd.Flags().StringVar(&name, "name", "", "the name that it has here (default: its own)")
	cmd.Flags().StringVar(&code, "code", "", "the code on the host's screen")
	cmd.MarkFlagRequired("code")
	namesFlag(cmd, &names)
	return cmd
}

func (a *app) hostList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the context's hosts",
		Long:    "List the hosts of the context with the keys that they were pinned to. It asks none of them: `keelctl top` shows how they are.",
		Example: "  keelctl host list",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			hosts := a.contextInfo(a.file, c).Hosts
			return a.print(hosts, func(r *output.Rows) {
				if len(hosts) == 0 {
					r.Line("no hosts: `keelctl host add ADDRESS` adds one")
				}
				tableOfHosts(r, hosts)
			})
		},
	}
	a.contextFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) hostRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "remove NAME",
		Short:             "Forget a host",
		Long:              "Remove a host from the context, with its token and what is remembered of its audit log. The host itself isn't asked and doesn't change.",
		Example:           "  keelctl host remove keel-2",
		Args:              oneOf("host"),
		ValidArgsFunction: a.completeHosts,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.context()
			if err != nil {
				return err
			}
			if _, err := c.Find(args[0]); err != nil {
				return err
			}
			c.Remove(args[0])
			return a.file.Save()
		},
	}
	a.contextFlag(cmd)
	return cmd
}
