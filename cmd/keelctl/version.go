package main

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/release"
	"keel/vmkernel/seed"
)

// clientVersion is what keelctl says of itself.
type clientVersion struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // the revision's
	API      string `json:"api"`
	Go       string `json:"go"`
	System   string `json:"system"`
	Seeds    string `json:"seeds"`
	Machine  string `json:"machine"`
	CPUModel string `json:"cpuModel"`
}

// versions are both ends'.
type versions struct {
	Client clientVersion `json:"client"`
	Host   *api.Version  `json:"host,omitempty"`
}

func ownVersion() clientVersion {
	own := release.Own()
	return clientVersion{Version: own.Name, Revision: own.Revision, Time: own.Time, API: "v1", Go: runtime.Version(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Seeds: seed.APIVersion, Machine: seed.Machine, CPUModel: seed.CPUModel}
}

func userAgent() string { return "keelctl/" + release.Own().Name }

func (a *app) versionCommand() *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of keelctl and of the host",
		Long: `Print keelctl's version and what it can make, and that of the host, with who the host
takes you for. Where there is no context, or with --client, it asks no host.

keelctl works with hosts of older and newer versions, in what the older of both knows. What
it doesn't know in an answer it ignores. A host that doesn't know something in a request, be
it a single field, refuses the request as a whole and says so: the exit code is then 8.`,
		Example: `  keelctl version
  keelctl version --client`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versions{Client: ownVersion()}
			f, err := a.configuration()
			if err != nil {
				return err
			}
			if !only && (len(f.Contexts) > 0 || a.options.context != "" || a.options.host != "") {
				err = a.ask(callTimeout, func(ctx context.Context, r *remote) error {
					v.Host = &api.Version{}
					return r.Get(ctx, client.Path("version"), nil, v.Host)
				})
				if err != nil {
					v.Host = nil
				}
				if exit.Code(err) == exit.NotFound && a.options.context == "" && a.options.host == "" {
					err = nil // there is no host to ask yet
				}
			}
			// Its own it prints in any case.
			printed := a.print(v, func(r *output.Rows) {
				c := v.Client
				r.Line("keelctl %s (%s %s)", c.Version, c.Go, c.System)
				r.Line("seeds %s, machine %s, processor %s, API %s", c.Seeds, c.Machine, c.CPUModel, c.API)
				if h := v.Host; h != nil {
					r.Line("host %s: Keel %s, built %s, API %s; you are %s, %s, until %s", h.Host, h.Version, h.Build, h.API,
						h.You.Name, grantOf(h.You.Role, h.You.Scope), output.Time(h.You.NotAfter))
				}
			})
			if printed != nil {
				return printed
			}
			return err
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().BoolVar(&only, "client", false, "keelctl's alone")
	return cmd
}
