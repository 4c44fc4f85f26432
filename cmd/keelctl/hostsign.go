package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

// namesFlag adds --names.
func namesFlag(cmd *cobra.Command, names *[]string) {
	cmd.Flags().StringSliceVar(names, "names", nil, "more names and addresses that its certificate may be for (default: asks)")
}

// signHost signs the certificate of a host that keeps its key, where that is possible. The operator CA vouches for no
// name that the administrator doesn't know of: a host that asked for another's could take that one's place before
// whoever trusts the CA. names are what he has given, beside the address that he
// has reached it by.
func (a *app) signHost(ctx context.Context, c *config.Context, h *config.Host, conn *client.Conn, names []string) error {
	var trust api.Trust
	if err := conn.Get(ctx, client.Path("trust"), nil, &trust); err != nil {
		if exit.Code(err) == exit.Denied { // only administrators may see it, and others can't sign
			return nil
		}
		return err
	}
	h.KeepsKey = trust.Host.Kept
	if !h.KeepsKey {
		return nil
	}
	ca, err := readCA(c)
	if err != nil {
		if exit.Code(err) == exit.NotFound {
			return nil
		}
		return err
	}
	request, err := auth.ParseRequest([]byte(trust.Host.Request))
	if err != nil {
		return fmt.Errorf("%s: its request for a certificate: %w", h.Name, err)
	}
	if request.Key != auth.Fingerprint(h.Fingerprint) {
		return exit.Errorf(exit.Unreachable, "%s asks for a certificate for the key %s, and has %s", h.Name, request.Key, h.Fingerprint)
	}
	address, _, err := net.SplitHostPort(h.Address)
	if err != nil {
		return err
	}
	signed, err := a.vouch(ctx, ca, h, request, address, names)
	if err != nil || signed == nil {
		return err
	}
	if err := conn.Post(ctx, client.Path("trust", "host-certificate"), api.HostCertificate{Certificate: string(auth.CertificatePEM(signed))}, nil); err != nil {
		return err
	}
	a.note("signed the certificate of %s, until %s", h.Name, output.Time(signed.NotAfter))
	return nil
}

// vouch signs a host's certificate, for its address and for what it asks for: of that, what the administrator knows, and
// the rest if he says so. It returns nil if he doesn't: a host shows no certificate that leaves out one of its names.
func (a *app) vouch(ctx context.Context, ca *auth.CA, h *config.Host, request *auth.Request, address string, known []string) (*x509.Certificate, error) {
	names, addresses := slices.Clone(request.Names), slices.Clone(request.Addresses)
	if ip, err := netip.ParseAddr(address); err != nil {
		names = append(names, address)
	} else {
		addresses = append(addresses, ip.Unmap())
	}
	known = append(known, address)
	var more []string
	for _, name := range asked(request) {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			more = append(more, output.Clean(name))
		}
	}
	if len(more) == 0 {
		return ca.SignHost(request, names, addresses, a.now())
	}
	list := strings.Join(more, ", ")
	if !a.canAsk() {
		a.note("note: the certificate of %s was not signed, since it asks for one for %s as well. If these are its own, add it again with --names %s", h.Name, list, strings.Join(more, ","))
		return nil, nil
	}
	a.note("%s asks for a certificate for %s as well.", h.Name, list)
	answer, err := a.prompt(ctx, "Are these its own names and addresses? Type yes to sign for them: ")
	if err != nil {
		return nil, err
	}
	if answer != "yes" {
		a.note("note: the certificate of %s was not signed; it is known by its key", h.Name)
		return nil, nil
	}
	return ca.SignHost(request, names, addresses, a.now())
}

// asked are the names and addresses that a host's certificate is to be for.
func asked(r *auth.Request) []string {
	all := slices.Clone(r.Names)
	for _, ip := range r.Addresses {
		all = append(all, ip.String())
	}
	return all
}
