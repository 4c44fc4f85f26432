package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

func (a *app) trustCommand() *cobra.Command {
	return nouns("trust", "See and restrict whom a host trusts",
		"A host trusts the operator CAs of its seed, and those that were given to it by a claim. Lockdown has it take no others.",
		`  keelctl trust show
  keelctl trust lockdown keel-1`,
		a.trustShow(), a.trustLockdown(),
		nouns("ca", "Have a host trust other operator CAs",
			"A host has its operator CAs from its seed, or from a claim. These commands change which it trusts until it restarts.",
			`  keelctl trust ca add next-ca.pem`,
			a.trustCAAdd(), a.trustCARemove()))
}

func (a *app) showTrustOf(t api.Trust) error {
	return a.print(t, func(r *output.Rows) {
		r.Field("host's key", auth.Fingerprint(t.Host.Fingerprint).Groups())
		kept := "made anew at each start"
		if t.Host.Kept {
			kept = "kept over a restart"
		}
		r.Field("", kept)
		if t.Host.SignedBy != "" {
			r.Field("certificate by", t.Host.SignedBy+", until "+output.Time(t.Host.NotAfter))
		}
		lock := "no"
		switch {
		case t.Lockdown.Locked:
			lock = "yes"
		case !t.Lockdown.At.IsZero():
			lock = "from " + output.Time(t.Lockdown.At) + " on"
		}
		if n := t.Lockdown.Administrators; n > 0 {
			lock += fmt.Sprintf(", %s known", count(n, "administrator"))
		}
		r.Field("locked down", lock)
		claim := "closed"
		if t.Claim.Open {
			claim = "OPEN"
			if !t.Claim.Until.IsZero() {
				claim += " until " + output.Time(t.Claim.Until)
			}
		}
		r.Field("claim", claim)
		if len(t.CAs) > 0 {
			r.Break()
			r.Header("operator CA", "until", "key")
		}
		for _, ca := range t.CAs {
			r.Row(ca.Name, output.Time(ca.NotAfter), ca.Fingerprint)
		}
		if len(t.Revocations) > 0 {
			r.Break()
			r.Header("revoked", "of CA")
		}
		for _, revoked := range t.Revocations {
			r.Row(revoked.Serial, revoked.Issuer)
		}
	})
}

func (a *app) trustShow() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "show",
		Short:   "Show whom a host trusts, and by what it is known",
		Long:    "Show a host's operator CAs, revoked certificates, lockdown, claim and own key. It needs the role admin.",
		Example: "  keelctl trust show -o yaml",
		Args:    cobra.NoArgs,
	}, got("trust"), a.showTrustOf)
}

func (a *app) trustLockdown() *cobra.Command {
	var after time.Duration
	cmd := &cobra.Command{
		Use:   "lockdown NAME",
		Short: "Have a host take no claims and no new administrators from now on",
		Long: `Lock a host down, at once or after a time: it takes no claims, no new operator CAs and no
administrators whom it doesn't know yet. What was set can be brought forward, and not put
off. Only a restart ends it, or somebody in front of the machine by the entry "Recover
access" of its boot menu. The host has to be named. For lockdown from each start on see
trust.lockdown in the seed. It needs the role admin.`,
		Example:           "  keelctl trust lockdown keel-1\n  keelctl trust lockdown keel-1 --after 24h",
		Args:              oneOf("host"),
		ValidArgsFunction: a.completeHosts,
		RunE: func(_ *cobra.Command, args []string) error {
			a.options.host = args[0]
			request := client.Request{Method: http.MethodPost, Path: client.Path("trust", "lockdown")}
			if after != 0 {
				request.Query = url.Values{"after": {after.String()}}
			}
			return answered(a, request, a.showTrustOf)
		},
	}
	cmd.Flags().DurationVar(&after, "after", 0, "when it comes, from now on (default at once)")
	a.contextFlag(cmd)
	a.timeoutFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}
