package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) hostNetwork() *cobra.Command {
	return nouns("network", "Show or change how a host is reached",
		"A change of the network reverts by itself unless it is confirmed within 60 seconds: nobody is locked out by accident.",
		`  keelctl host network show
  keelctl host network set --address 192.0.2.10/24 --router 192.0.2.1`,
		a.hostNetworkShow(), a.hostNetworkSet(), a.hostNetworkConfirm())
}

func list[T fmt.Stringer](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, ", ")
}

func (a *app) showNetwork(n api.Network) error {
	return a.print(n, func(r *output.Rows) {
		driver := n.Card.Driver
		if driver == "" {
			driver = "no driver"
		}
		r.Field("card", strings.TrimSpace(n.Card.Address+" "+n.Card.MAC)+", "+driver)
		r.Field("link", n.Card.Link)
		if n.VLAN != 0 {
			r.Field("VLAN", n.VLAN)
		}
		r.Field("addresses", list(n.Addresses))
		r.Field("routers", list(n.Routers))
		r.Field("DNS", list(n.DNS))
		r.Field("NTP", list(n.NTP))
		r.Field("DHCP server", n.DHCP)
		r.Field("allowed from", list(n.Config.AllowFrom))
		if n.Fallback != "" {
			r.Field("fallback", output.Cell{Text: n.Fallback, Style: output.Warn})
		}
		if p := n.Pending; p != nil {
			r.Field("not confirmed", output.Cell{Text: "reverts at " + output.Time(p.Until) + " unless `keelctl host network confirm`", Style: output.Warn})
		}
	})
}

func (a *app) hostNetworkShow() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "show",
		Short:   "Show how a host is reached",
		Long:    "Show a host's network card, addresses, routers and servers, and a change that waits to be confirmed. It needs the role viewer.",
		Example: "  keelctl host network show",
		Args:    cobra.NoArgs,
	}, got("host", "network"), a.showNetwork)
}

// parsed reads the values of a flag.
func parsed[T any](flag string, texts []string, parse func(string) (T, error)) (values []T, err error) {
	for _, text := range texts {
		v, err := parse(text)
		if err != nil {
			return nil, exit.Errorf(exit.Usage, "--%s %q is not possible: %w", flag, text, err)
		}
		values = append(values, v)
	}
	return values, nil
}

func (a *app) hostNetworkSet() *cobra.Command {
	var addresses, routers, dns, ntp, allow []string
	var nic string
	var vlan int
	var confirm bool
	cmd := &cobra.Command{
		Use:   "set [--dhcp | --address ADDRESS/LENGTH]...",
		Short: "Change how a host is reached; it reverts unless confirmed",
		Long: `Change how a host is reached. What isn't given stays as it is; --dhcp has the network
give addresses and routers. The change reverts after 60 seconds unless it is confirmed.

keelctl confirms it itself once it has reached the host under the new address, and
remembers that address; with --confirm=false you do it, by ` + "`keelctl host network confirm`" + `.
The change holds until the host restarts: put it into the seed as well. It needs the
role admin.`,
		Example: `  keelctl host network set --address 192.0.2.10/24 --router 192.0.2.1 --dns 192.0.2.1
  keelctl host network set --dhcp`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed
			dhcp, _ := cmd.Flags().GetBool("dhcp")
			if dhcp && (given("address") || given("router")) {
				return exit.Errorf(exit.Usage, "--dhcp makes no sense with --address or --router: give one")
			}
			var n api.NetworkConfig
			var err error
			if n.Addresses, err = parsed("address", addresses, netip.ParsePrefix); err != nil {
				return err
			}
			for _, l := range []struct {
				flag string
				from []string
				to   *[]netip.Addr
			}{{"router", routers, &n.Routers}, {"dns", dns, &n.DNS}, {"ntp", ntp, &n.NTP}} {
				if *l.to, err = parsed(l.flag, l.from, netip.ParseAddr); err != nil {
					return err
				}
			}
			if n.AllowFrom, err = parsed("allow-from", allow, netip.ParsePrefix); err != nil {
				return err
			}
			changed := false
			for _, flag := range []string{"dhcp", "address", "router", "dns", "ntp", "allow-from", "nic", "vlan"} {
				changed = changed || given(flag)
			}
			if !changed {
				return exit.Errorf(exit.Usage, "nothing to change: give --dhcp, --address, --router, --dns, --ntp, --allow-from, --nic or --vlan")
			}
			var asked api.Network
			err = a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				path := client.Path("host", "network")
				var old api.Network
				header, err := r.Call(ctx, client.Request{Method: http.MethodGet, Path: path}, &old)
				if err != nil {
					return err
				}
				merge(&n, &old.Config, given, dhcp, nic, vlan)
				_, err = r.Call(ctx, client.Request{Method: http.MethodPut, Path: path, In: n, Match: header.Get("ETag")}, &asked)
				return err
			})
			if err != nil {
				return err
			}
			if !confirm {
				a.note("the host changes its network, and reverts unless you confirm that within 60 seconds: keelctl host network confirm")
				return a.showNetwork(asked)
			}
			return a.confirmNetwork(n.Addresses)
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().Bool("dhcp", false, "have the network give addresses and routers")
	cmd.Flags().StringArrayVar(&addresses, "address", nil, "an address with its network's length, as 192.0.2.10/24; may be given more than once")
	cmd.Flags().StringArrayVar(&routers, "router", nil, "a router's address")
	cmd.Flags().StringArrayVar(&dns, "dns", nil, "a DNS server's address")
	cmd.Flags().StringArrayVar(&ntp, "ntp", nil, "an SNTP server's address")
	cmd.Flags().StringArrayVar(&allow, "allow-from", nil, "a network whose machines may connect, as 192.0.2.0/24 (default: all)")
	cmd.Flags().StringVar(&nic, "nic", "", "auto, or a card's MAC address")
	cmd.Flags().IntVar(&vlan, "vlan", 0, "the VLAN, 1 to 4094; 0 is none")
	cmd.Flags().BoolVar(&confirm, "confirm", true, "confirm it once the host was reached under its new address")
	return cmd
}

// merge completes what was given by what was there.
func merge(n, old *api.NetworkConfig, given func(string) bool, dhcp bool, nic string, vlan int) {
	keep := func(flag string, f func()) {
		if !given(flag) {
			f()
		}
	}
	if !dhcp {
		keep("address", func() { n.Addresses = old.Addresses })
		keep("router", func() { n.Routers = old.Routers })
	}
	keep("dns", func() { n.DNS = old.DNS })
	keep("ntp", func() { n.NTP = old.NTP })
	keep("allow-from", func() { n.AllowFrom = old.AllowFrom })
	n.NIC, n.VLAN = nic, vlan
	keep("nic", func() { n.NIC = old.NIC })
	keep("vlan", func() { n.VLAN = old.VLAN })
}

// confirmNetwork tries to reach the host where it is now, and confirms its change.
func (a *app) confirmNetwork(addresses []netip.Prefix) error {
	c, h, err := a.target()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(h.Address)
	if err != nil {
		return err
	}
	candidates := []string{h.Address}
	for _, p := range addresses {
		candidates = append([]string{net.JoinHostPort(p.Addr().String(), port)}, candidates...)
	}
	ctx, cancel := a.bounded(55 * time.Second)
	defer cancel()
	for {
		for _, address := range candidates {
			at := *h
			at.Address = address
			var now api.Network
			err = a.askHost(c, &at, 5*time.Second, func(ctx context.Context, r *remote) error {
				return r.Post(ctx, client.Path("host", "network", "confirm"), nil, &now)
			})
			if err == nil {
				return a.movedTo(c, h, address, now)
			}
			if code := exit.Code(err); code != exit.Unreachable && code != exit.Timeout {
				return err
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return exit.Errorf(exit.Unreachable, "the host can't be reached as it was told to be; it reverts to what it was: %w", err)
			}
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// movedTo remembers where a host is now.
func (a *app) movedTo(c *config.Context, h *config.Host, address string, now api.Network) error {
	if h.Address != address {
		h.Address = address
		c.Set(h)
		if err := a.file.Save(); err != nil {
			return err
		}
		a.note("%s is at %s now", h.Name, address)
	}
	a.note("confirmed: the change holds until the host restarts; put it into the seed as well")
	return a.showNetwork(now)
}

func (a *app) hostNetworkConfirm() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "confirm",
		Short:   "Keep a change of the network that would revert",
		Long:    "Keep a change of the host's network that would revert by itself. That it reaches the host shows that the change is good. It needs the role admin.",
		Example: "  keelctl host network confirm",
		Args:    cobra.NoArgs,
	}, func([]string) client.Request {
		return client.Request{Method: http.MethodPost, Path: client.Path("host", "network", "confirm")}
	}, a.showNetwork)
}
