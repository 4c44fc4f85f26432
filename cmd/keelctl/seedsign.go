package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/manifest"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// sealer is who signs seeds.
type sealer struct {
	name string
	sign func(manifest []byte) ([]byte, error)
}

// sealer returns the context's signer of seeds: the operator CA where its key is, or a certificate for seeds. It is nil
// where there is neither, which is an error only if the context was asked for.
func (a *app) sealer(asked bool) (*sealer, error) {
	c, err := a.context()
	if err != nil {
		if !asked && exit.Code(err) == exit.NotFound && a.options.context == "" {
			return nil, nil
		}
		return nil, err
	}
	ca, err := readCA(c)
	if err == nil {
		name := fmt.Sprintf("the operator CA %q", ca.Certificate.Subject.CommonName)
		return &sealer{name, func(m []byte) ([]byte, error) { return ca.SignSeed(m, 0, a.now()) }}, nil
	}
	if exit.Code(err) != exit.NotFound {
		return nil, err
	}
	own, certErr := readCertificate(c.CertFile())
	if certErr != nil || !auth.SignsSeeds(own) {
		if asked {
			return nil, err
		}
		return nil, nil
	}
	text, err := config.ReadSecret(c.KeyFile())
	if err != nil {
		return nil, err
	}
	key, err := auth.ParseKey(text)
	if err != nil {
		return nil, inFile(c.KeyFile(), err)
	}
	return &sealer{own.Subject.CommonName, func(m []byte) ([]byte, error) { return auth.SignSeed(m, own, key, 0, a.now()) }}, nil
}

// signFlag is for commands that make a seed.
func (a *app) signFlag(cmd *cobra.Command) {
	a.contextFlag(cmd)
	cmd.Flags().Bool("sign", true, "sign it with the context's operator CA, where that is")
}

// seal signs a seed if that was asked for, or is possible and was not refused.
func (a *app) seal(cmd *cobra.Command, archive []byte, d *seed.Document) ([]byte, error) {
	asked := cmd.Flags().Changed("sign")
	if wanted, _ := cmd.Flags().GetBool("sign"); !wanted {
		return archive, nil
	}
	s, err := a.sealer(asked)
	if err != nil {
		return nil, err
	}
	if s == nil {
		if len(d.Host.Trust.OperatorCAs) > 0 {
			a.note("note: the seed is not signed, since no context has an operator CA's key here: a host whose image brings a CA along refuses it")
		}
		return archive, nil
	}
	signed, err := seed.Sign(archive, s.sign)
	if err != nil {
		return nil, err
	}
	a.note("signed by %s", s.name)
	return signed, nil
}

// revoke adds to a seed the certificates of the context's CA that were revoked here, so that a restart of the host
// doesn't bring them back. A host that doesn't trust the CA needs none.
func (a *app) revoke(d *seed.Document) error {
	c, err := a.context()
	if err != nil {
		return nil // there is none: nothing was revoked
	}
	ca, err := readCertificate(c.CAFile())
	if err != nil {
		return nil
	}
	if !slices.Contains(d.Host.Trust.OperatorCAs, string(auth.CertificatePEM(ca))) {
		return nil
	}
	revoked, err := a.revoked(c, ca)
	if err != nil {
		return err
	}
	added := 0
	for _, r := range revoked {
		if !slices.Contains(d.Host.Trust.Revoked, r) {
			d.Host.Trust.Revoked = append(d.Host.Trust.Revoked, r)
			added++
		}
	}
	if added > 0 {
		a.note("note: added to trust.revoked: %s, revoked by `keelctl cert revoke`", count(added, "certificate"))
	}
	return nil
}

func (a *app) seedSign() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "sign SEED.tar [-o SIGNED.tar]",
		Short: "Sign a seed that is there already",
		Long: `Sign a seed with the operator CA of the context, or with a certificate for seeds
(` + "`keelctl cert sign --seeds`" + `). A host takes only seeds that are signed by a CA that its image
or its last seed names, and none that is older than that. A signature that was there is
replaced. It needs the key, and no host.`,
		Example: `  keelctl seed sign seed.tar
  keelctl seed sign seed.tar -o signed.tar`,
		Args: oneOf("seed"),
		RunE: func(_ *cobra.Command, args []string) error {
			archive, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			s, err := a.sealer(true)
			if err != nil {
				return err
			}
			signed, err := seed.Sign(archive, s.sign)
			if err != nil {
				return of(args[0], err)
			}
			if output == "" {
				output = args[0]
			}
			if output == "-" {
				_, err := a.stdout.Write(signed)
				return err
			}
			if err := manifest.Replace(output, signed); err != nil {
				return err
			}
			a.note("%s: signed by %s", output, s.name)
			return nil
		},
	}
	a.contextFlag(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "the signed seed; - is standard output (default: in place of the unsigned one)")
	cmd.MarkFlagFilename("output", "tar")
	return cmd
}
