package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/manifest"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

// vmFiles is what the help of create and update says of files.
const vmFiles = `
Its files are files here, relative to the YAML file, or else names of images on the host.
A file that the host doesn't have yet is uploaded first; one that it has by another name
isn't sent again.
`

const vmYAMLHelp = `
  apiVersion: keel/v1
  kind: VM
  name: demo
  cpu: {count: 2}
  memory: {size: 256MiB}     # KiB, MiB or GiB
  boot: {kernel: vmlinuz, initrd: guest.cpio.gz, cmdline: "console=ttyS0"}
  serial: [{name: ttyS0}]
`

func (a *app) vmCreate() *cobra.Command {
	var names []string
	var dry, start, assign bool
	cmd := &cobra.Command{
		Use:   "create -f FILE.yaml [-f FILE.yaml]...",
		Short: "Make VMs from YAML",
		Long: `Make VMs from YAML, which holds a document of kind VM for each, as in a seed:
` + vmYAMLHelp + vmFiles + `
A VM's id makes this safe to repeat: the same description with the same id is the same VM.
Where the YAML has no id one is made; --assign writes it there. --dry-run says what would be
done, and does nothing. It needs the role operator.`,
		Example: `  keelctl vm create -f vm.yaml --start --wait
  keelctl vm create -f vm.yaml --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			set, err := a.loadVMs(names)
			if err != nil {
				return err
			}
			if assign && !dry {
				if err := set.Assign(); err != nil {
					return err
				}
			}
			if !dry {
				a.notes(set, "host", assign)
			}
			return a.ask(0, func(ctx context.Context, r *remote) error {
				u, err := a.newUploads(ctx, r, set)
				if err != nil {
					return err
				}
				if dry {
					return a.planCreate(ctx, u)
				}
				return a.createAll(ctx, u, start)
			})
		},
	}
	a.vmFlags(cmd, &names, &dry)
	a.waitFlag(cmd)
	cmd.Flags().BoolVar(&start, "start", false, "start them as well")
	cmd.Flags().BoolVar(&assign, "assign", false, "write the ids that are made into the YAML files")
	return cmd
}

func (a *app) vmFlags(cmd *cobra.Command, names *[]string, dry *bool) {
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	a.inputFlag(cmd, names)
	cmd.MarkFlagRequired("file")
	cmd.Flags().BoolVar(dry, "dry-run", false, "say what would be done, and do nothing")
}

// loadVMs reads YAML for a host that runs already.
func (a *app) loadVMs(names []string) (*manifest.Set, error) {
	loader := manifest.Loader{Stdin: a.stdin, NewID: a.newID, Running: true}
	return loader.Load(names)
}

// createAll makes the VMs of a set, with their images, as far as that can be done.
func (a *app) createAll(ctx context.Context, u *uploads, start bool) error {
	made := []api.VM{}
	err := a.eachVM(u, func(i int, vm *seed.VM) error {
		spec, err := u.send(ctx, i, *vm)
		if err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		var v api.VM
		var status int
		if _, err := u.remote.Call(short, client.Request{Method: http.MethodPost, Path: client.Path("vms"), In: spec, Status: &status}, &v); err != nil {
			return err
		}
		made = append(made, v)
		if status == http.StatusCreated {
			a.note("%s: created", v.Spec.Name)
		} else {
			a.note("%s: was there already", v.Spec.Name)
		}
		return nil
	})
	if len(made) > 0 && a.computed() {
		err = a.also(err, a.print(made, nil))
	}
	if !start || a.ctx.Err() != nil {
		return err
	}
	return a.also(err, a.startMade(ctx, u.remote, made))
}

// startMade starts VMs that aren't on.
func (a *app) startMade(ctx context.Context, r *remote, made []api.VM) error {
	a.options.output = string(output.Table) // what was made is printed: of operations there are notes
	limited, cancel := context.WithTimeout(ctx, a.limit(a.waiting()))
	defer cancel()
	names, ids := []string{}, map[string]string{}
	for _, v := range made {
		if v.State != api.Stopped {
			a.note("%s: is %s already", v.Spec.Name, v.State)
			continue
		}
		names, ids[v.Spec.Name] = append(names, v.Spec.Name), v.Spec.ID
	}
	return a.each(names, func(name string) error {
		return a.begin(limited, r, client.Path("vms", ids[name], "start"), nil, name+": started")
	})
}

// eachVM calls f for each VM of a set: a fault of one doesn't stop the others.
func (a *app) eachVM(u *uploads, f func(i int, vm *seed.VM) error) error {
	vms := u.set.Document.VMs
	names, at := []string{}, map[string]int{}
	for i := range vms {
		names, at[vms[i].Name] = append(names, vms[i].Name), i
	}
	return a.each(names, func(name string) error { return f(at[name], &vms[at[name]]) })
}

// eachFile calls f for each file that a VM names.
func eachFile(vm *seed.VM, f func(name *string)) {
	f(&vm.Boot.Direct.Kernel)
	if vm.Boot.Direct.Initrd != "" {
		f(&vm.Boot.Direct.Initrd)
	}
	vm.Boot.Direct.Modules = slices.Clone(vm.Boot.Direct.Modules)
	for i := range vm.Boot.Direct.Modules {
		f(&vm.Boot.Direct.Modules[i].File)
	}
}

// uploads finds images for the files of a set.
type uploads struct {
	app    *app
	remote *remote
	set    *manifest.Set
	names  map[string]string // of images that are there and whole, by SHA-256
	whole  map[string]bool   // what names them: their names, and their digests
	taken  map[string]string // SHA-256 by name
}

func (a *app) newUploads(ctx context.Context, r *remote, set *manifest.Set) (*uploads, error) {
	u := &uploads{app: a, remote: r, set: set, names: map[string]string{}, whole: map[string]bool{}, taken: map[string]string{}}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var images api.Images
	if err := r.Get(ctx, client.Path("images"), nil, &images); err != nil {
		return nil, err
	}
	for _, i := range images.Images {
		u.taken[i.Name] = i.SHA256
		if i.State == api.ImageReady {
			u.whole[i.Name], u.whole["sha256:"+i.SHA256] = true, true
		}
		if _, ok := u.names[i.SHA256]; !ok && i.State == api.ImageReady {
			u.names[i.SHA256] = i.Name
		}
	}
	return u, nil
}

// place returns the image for a file, and whether it has to be sent.
func (u *uploads) place(file string) (image string, send bool) {
	info, local := u.set.Document.Files[file]
	if !local {
		return file, false // an image's name: the host says whether it is there
	}
	if name, ok := u.names[info.SHA256]; ok {
		return name, false
	}
	if sum, ok := u.taken[file]; ok && sum != info.SHA256 {
		return file + "-" + info.SHA256[:12], true
	}
	return file, true
}

// send uploads the files of the i-th VM that the host lacks, and returns it as it was written, with the names of images.
func (u *uploads) send(ctx context.Context, i int, vm seed.VM) (json.RawMessage, error) {
	var fault error
	eachFile(&vm, func(name *string) {
		image, send := u.place(*name)
		if send && fault == nil {
			info := u.set.Document.Files[*name]
			if _, err := u.app.upload(ctx, u.remote, image, u.set.Path(*name), info); err != nil {
				fault = err
				return
			}
			u.app.note("%s: uploaded, %s", image, output.Size(uint64(info.Size)))
			u.names[info.SHA256], u.taken[image] = image, info.SHA256
		}
		*name = image
	})
	if fault != nil {
		return nil, fault
	}
	return u.set.Written(i, &vm)
}

func (a *app) vmUpdate() *cobra.Command {
	var names []string
	var dry bool
	cmd := &cobra.Command{
		Use:   "update -f FILE.yaml [-f FILE.yaml]...",
		Short: "Change VMs to what YAML says",
		Long: `Give VMs the description that YAML has, as ` + "`create`" + ` takes it. The VM is found by its id,
or by its name where the YAML has no id. While a VM isn't stopped its name, labels, autostart
and stopTimeout can change, what it does after its end, and its shares, reservations, limits
and pools; a change of anything else is refused (exit code 5): stop it first.
` + vmFiles + `
If somebody else changes the VM meanwhile, nothing is changed (exit code 5). --dry-run says
what would be done. It needs the role operator.`,
		Example: `  keelctl vm update -f vm.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			set, err := a.loadVMs(names)
			if err != nil {
				return err
			}
			return a.ask(0, func(ctx context.Context, r *remote) error {
				u, err := a.newUploads(ctx, r, set)
				if err != nil {
					return err
				}
				unassigned := map[string]bool{}
				for _, un := range set.Unassigned {
					unassigned[un.VM] = true
				}
				if dry {
					return a.planUpdate(ctx, u, unassigned)
				}
				return a.updateAll(ctx, u, unassigned)
			})
		},
	}
	a.vmFlags(cmd, &names, &dry)
	return cmd
}

// updateAll changes the VMs of a set, as far as that can be done.
func (a *app) updateAll(ctx context.Context, u *uploads, unassigned map[string]bool) error {
	changed := []api.VM{}
	err := a.eachVM(u, func(i int, vm *seed.VM) error {
		_, tag, err := u.described(ctx, vm, unassigned)
		if err != nil {
			return err
		}
		spec, err := u.send(ctx, i, *vm)
		if err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		var v api.VM
		_, err = u.remote.Call(short, client.Request{Method: http.MethodPut, Path: client.Path("vms", vm.ID), In: spec, Match: tag}, &v)
		var answer *api.Error
		if errors.As(err, &answer) && answer.Code == api.CodeStale {
			return fmt.Errorf("%w: somebody else has changed it meanwhile; look at it and try again", err)
		}
		if err != nil {
			return err
		}
		changed = append(changed, v)
		a.note("%s: changed", v.Spec.Name)
		return nil
	})
	if len(changed) > 0 && a.computed() {
		err = a.also(err, a.print(changed, nil))
	}
	return err
}

// described finds the VM that a set's VM describes, and gives that one its id. It returns it as it is, and its ETag.
func (u *uploads) described(ctx context.Context, vm *seed.VM, unassigned map[string]bool) (now api.VM, tag string, err error) {
	key := vm.ID
	if unassigned[vm.Name] {
		key = vm.Name
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	header, err := u.remote.Call(ctx, client.Request{Method: http.MethodGet, Path: client.Path("vms", key)}, &now)
	if err != nil {
		return now, "", err
	}
	vm.ID = now.Spec.ID
	return now, header.Get("ETag"), nil
}
