package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

func (a *app) trustCAAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add FILE",
		Short: "Have a host trust another operator CA",
		Long: `Have a host trust another operator CA, whose users then come in as their roles allow: a new
one before the old one ends, or a second one. FILE holds its certificate, in PEM. It holds
until the host restarts: put the CA into the seed as well. A host that is locked down takes
none. It needs the role admin.`,
		Example: "  keelctl trust ca add next-ca.pem",
		Args:    oneOf("file with a CA's certificate"),
		RunE: func(_ *cobra.Command, args []string) error {
			ca, err := readCertificate(args[0])
			if err != nil {
				return err
			}
			text := auth.CertificatePEM(ca)
			if _, err := auth.ParseCA(text); err != nil {
				return exit.Errorf(exit.Usage, "%s: %s", args[0], err)
			}
			return answered(a, client.Request{Method: http.MethodPost, Path: client.Path("trust", "cas"), In: api.NewCA{Certificate: string(text)}}, a.showTrustOf)
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) trustCARemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove FINGERPRINT",
		Short: "Have a host trust an operator CA no more",
		Long: `Have a host trust an operator CA no more: none of its users comes in, and those that are in
are put out within seconds. The last CA can't be removed, and neither can your own. Take
it out of the seed as well. It needs the role admin.`,
		Example: `  keelctl trust ca remove "SHA256:8vXt BLjD ..."`,
		Args:    oneOf("CA's fingerprint"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := auth.ParseFingerprint(args[0])
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			c, err := a.context()
			if err != nil {
				return err
			}
			if own, err := readCertificate(c.CAFile()); err == nil && auth.FingerprintOf(own) == f {
				return exit.Errorf(exit.Usage, "%s is your own operator CA: you would not come in again", f)
			}
			return answered(a, client.Request{Method: http.MethodDelete, Path: client.Path("trust", "cas", string(f))}, a.showTrustOf)
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	return cmd
}
