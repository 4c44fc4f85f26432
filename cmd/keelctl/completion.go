package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion {bash|zsh|fish|powershell}",
		Short: "Print what completes commands in a shell",
		Long: `Print a script that has a shell complete commands, flags, and the names of contexts, hosts,
VMs, images and operations, which it asks the host for.`,
		Example: `  source <(keelctl completion bash)
  keelctl completion zsh > "${fpath[1]}/_keelctl"
  keelctl completion fish > ~/.config/fish/completions/keelctl.fish`,
		Args:      cobra.MatchAll(oneOf("shell"), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			}
			return root.GenPowerShellCompletionWithDesc(a.stdout)
		},
	}
}

// completionTimeout is how long a shell waits for names.
const completionTimeout = 3 * time.Second

const noFiles = cobra.ShellCompDirectiveNoFileComp

// complete offers names that the context or the host has. What goes wrong offers nothing.
func (a *app) complete(cmd *cobra.Command, args []string, names func() ([]string, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	if a.options.fill(cmd, a.getenv) != nil {
		return nil, noFiles
	}
	all, err := names()
	if err != nil {
		return nil, noFiles
	}
	var left []cobra.Completion
	for _, name := range all {
		given := false
		for _, arg := range args {
			given = given || arg == name
		}
		if !given {
			left = append(left, name)
		}
	}
	return left, noFiles
}

// live offers names that the host has.
func (a *app) live(cmd *cobra.Command, args []string, names func(ctx context.Context, r *remote) ([]string, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func() (list []string, err error) {
		a.warnedOwn, a.warnedCA, a.quiet = true, true, true
		err = a.ask(completionTimeout, func(ctx context.Context, r *remote) error {
			list, err = names(ctx, r)
			return err
		})
		return list, err
	})
}

func (a *app) completeContexts(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func() ([]string, error) {
		f, err := a.configuration()
		if err != nil {
			return nil, err
		}
		return f.Names(), nil
	})
}

func (a *app) completeHosts(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func() ([]string, error) {
		c, err := a.context()
		if err != nil {
			return nil, err
		}
		return c.HostNames(), nil
	})
}

func (a *app) completeVMs(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.live(cmd, args, func(ctx context.Context, r *remote) (names []string, err error) {
		var vms api.VMs
		err = r.Get(ctx, client.Path("vms"), nil, &vms)
		for _, v := range vms.VMs {
			names = append(names, v.Name)
		}
		return names, err
	})
}

func (a *app) completePools(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.live(cmd, args, func(ctx context.Context, r *remote) (names []string, err error) {
		var pools api.Pools
		err = r.Get(ctx, client.Path("pools"), nil, &pools)
		for _, p := range pools.Pools {
			names = append(names, p.Name)
		}
		return names, err
	})
}

func (a *app) completeImages(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.live(cmd, args, func(ctx context.Context, r *remote) (names []string, err error) {
		var images api.Images
		err = r.Get(ctx, client.Path("images"), nil, &images)
		for _, i := range images.Images {
			names = append(names, i.Name)
		}
		return names, err
	})
}

func (a *app) completeOperations(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.live(cmd, args, func(ctx context.Context, r *remote) (names []string, err error) {
		var ops api.Operations
		err = r.Get(ctx, client.Path("operations"), nil, &ops)
		for _, op := range ops.Operations {
			names = append(names, cobra.CompletionWithDesc(op.ID, strings.TrimSpace(op.Kind+" "+op.Target+" "+op.State)))
		}
		return names, err
	})
}

// apiPaths are the paths of the API that have a method.
func apiPaths(method string) (paths []cobra.Completion) {
	for _, route := range api.Routes {
		if strings.EqualFold(route.Method, method) {
			paths = append(paths, cobra.CompletionWithDesc(route.Pattern, route.Summary))
		}
	}
	return paths
}
