package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/manifest"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) vmEdit() *cobra.Command {
	return a.withRemote(&cobra.Command{
		Use:   "edit VM",
		Short: "Change a VM's description in your editor",
		Long: `Open a VM's description in $VISUAL or $EDITOR, and give the VM what was saved, as ` + "`update`" + `
would. Nothing changes if nothing was changed, if somebody else has changed it meanwhile, or
if the VM has to be stopped for it (exit code 5): what you wrote is then kept in a file. It needs the role operator.`,
		Example:           "  keelctl vm edit demo",
		Args:              oneOf("VM"),
		ValidArgsFunction: a.completeVMs,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(0, func(ctx context.Context, r *remote) error { return a.edit(ctx, r, args[0]) })
		},
	})
}

// withRemote gives a command the flags of those that ask a host.
func (a *app) withRemote(cmd *cobra.Command) *cobra.Command {
	a.remoteFlags(cmd)
	return cmd
}

func (a *app) edit(ctx context.Context, r *remote, name string) error {
	now, header, err := a.whole(ctx, r, name)
	if err != nil {
		return err
	}
	before, err := manifest.Format(&now.Spec)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "keelctl-edit-")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, now.Spec.Name+".yaml")
	if err := os.WriteFile(path, before, 0o600); err != nil {
		return err
	}
	if err := a.editor(ctx, path); err != nil {
		return err
	}
	after, err := os.ReadFile(path)
	if err == nil && bytes.Equal(before, after) {
		a.note("%s: nothing was changed", now.Spec.Name)
		return os.RemoveAll(dir)
	}
	if err == nil {
		err = a.put(ctx, r, path, now.Spec.ID, header.Get("ETag"))
	}
	if err != nil {
		a.note("what you wrote is kept in %s", path)
		return err
	}
	return os.RemoveAll(dir)
}

// whole returns a VM, for what gives its description back: that must not lack what only a newer keelctl knows of.
func (a *app) whole(ctx context.Context, r *remote, name string) (*api.VM, http.Header, error) {
	var answer struct{ Spec json.RawMessage }
	header, err := r.Call(ctx, client.Request{Method: http.MethodGet, Path: client.Path("vms", name)}, &answer)
	if err != nil {
		return nil, nil, err
	}
	v := &api.VM{}
	d := json.NewDecoder(bytes.NewReader(answer.Spec))
	d.DisallowUnknownFields()
	if err := d.Decode(&v.Spec); err != nil {
		return nil, nil, exit.Errorf(exit.Unsupported, "%s: its description of %s has something that this keelctl doesn't know, and would lose: use one of the host's version (`keelctl version`): %w", r.Name(), name, err)
	}
	return v, header, nil
}

// put gives a VM the description of a file.
func (a *app) put(ctx context.Context, r *remote, path, id, tag string) error {
	set, err := a.loadVMs([]string{path})
	if err != nil {
		return err
	}
	if len(set.Document.VMs) != 1 || set.Document.VMs[0].ID != id {
		return exit.Errorf(exit.Conflict, "the file has to describe the VM with the id %s, and no other", id)
	}
	spec, err := set.Written(0, &set.Document.VMs[0])
	if err != nil {
		return err
	}
	var v api.VM
	_, err = r.Call(ctx, client.Request{Method: http.MethodPut, Path: client.Path("vms", id), In: spec, Match: tag}, &v)
	if err != nil {
		return err
	}
	a.note("%s: changed", v.Spec.Name)
	return nil
}

// editor runs the user's editor.
func (a *app) editor(ctx context.Context, path string) error {
	command := a.getenv("VISUAL")
	if command == "" {
		command = a.getenv("EDITOR")
	}
	if command == "" {
		command = "vi"
		if runtime.GOOS == "windows" {
			command = "notepad"
		}
	}
	words := append(strings.Fields(command), path)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	if err := cmd.Run(); err != nil {
		return exit.Errorf(exit.Fault, "the editor %s: %w", command, err)
	}
	return nil
}
