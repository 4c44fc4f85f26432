package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
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
					return a.planCreate(ctx, r, u)
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

// createAll makes the VMs of a set, with their images.
func (a *app) createAll(ctx context.Context, u *uploads, start bool) error {
	made := []api.VM{}
	for i, vm := range u.set.Document.VMs {
		spec, err := u.send(ctx, i, vm)
		if err != nil {
			return err
		}
		var v api.VM
		short, cancel := context.WithTimeout(ctx, callTimeout)
		err = u.remote.Post(short, client.Path("vms"), spec, &v)
		cancel()
		if err != nil {
			return err
		}
		made = append(made, v)
		a.note("%s: created", v.Spec.Name)
	}
	if a.options.outputGiven && a.options.output != string(output.Table) {
		if err := a.print(made, nil); err != nil {
			return err
		}
	}
	if !start {
		return nil
	}
	a.options.outputGiven = false // what was made is printed: of operations there are notes
	limited, cancel := context.WithTimeout(ctx, a.limit(a.waiting()))
	defer cancel()
	for _, v := range made {
		if v.State != api.Stopped {
			a.note("%s: is %s already", v.Spec.Name, v.State)
			continue
		}
		if err := a.begin(limited, u.remote, client.Path("vms", v.Spec.ID, "start"), nil, v.Spec.Name+": started"); err != nil {
			return err
		}
	}
	return nil
}

// planned is what a dry run says.
type planned struct {
	VM     string   `json:"vm"`
	ID     string   `json:"id"`
	Action string   `json:"action"` // create, update, none or conflict
	Upload []string `json:"upload"` // images
	Images []string `json:"images"` // that are there
}

// planCreate says what create would do.
func (a *app) planCreate(ctx context.Context, r *remote, u *uploads) error {
	var vms api.VMs
	if err := r.Get(ctx, client.Path("vms"), nil, &vms); err != nil {
		return err
	}
	var conflict error
	return a.plan(u, func(vm seed.VM) string {
		for _, v := range vms.VMs {
			switch {
			case v.ID == vm.ID:
				return "none: it is there, if its description is the same"
			case v.Name == vm.Name:
				conflict = exit.Errorf(exit.Conflict, "%s: a VM named %s is there already, with the id %s", r.Name(), v.Name, v.ID)
				return "conflict: the name is taken by " + v.ID
			}
		}
		return "create"
	}, &conflict)
}

func (a *app) plan(u *uploads, action func(vm seed.VM) string, fault *error) error {
	plans := []planned{}
	for _, vm := range u.set.Document.VMs {
		p := planned{VM: vm.Name, ID: vm.ID, Action: action(vm), Upload: []string{}, Images: []string{}}
		eachFile(&vm, func(name *string) {
			image, send := u.place(*name)
			if send {
				p.Upload = append(p.Upload, image)
			} else {
				p.Images = append(p.Images, image)
			}
		})
		plans = append(plans, p)
	}
	err := a.print(plans, func(rows *output.Rows) {
		rows.Header("VM", "would", "upload", "images there")
		for _, p := range plans {
			rows.Row(p.VM, p.Action, strings.Join(p.Upload, ", "), strings.Join(p.Images, ", "))
		}
	})
	if err != nil {
		return err
	}
	return *fault
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
	taken  map[string]string // SHA-256 by name
}

func (a *app) newUploads(ctx context.Context, r *remote, set *manifest.Set) (*uploads, error) {
	u := &uploads{app: a, remote: r, set: set, names: map[string]string{}, taken: map[string]string{}}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var images api.Images
	if err := r.Get(ctx, client.Path("images"), nil, &images); err != nil {
		return nil, err
	}
	for _, i := range images.Images {
		u.taken[i.Name] = i.SHA256
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
				return a.updateAll(ctx, u, unassigned, dry)
			})
		},
	}
	a.vmFlags(cmd, &names, &dry)
	return cmd
}

func (a *app) updateAll(ctx context.Context, u *uploads, unassigned map[string]bool, dry bool) error {
	tags := map[string]string{}
	for i := range u.set.Document.VMs {
		vm := &u.set.Document.VMs[i]
		key := vm.ID
		if unassigned[vm.Name] {
			key = vm.Name
		}
		var now api.VM
		short, cancel := context.WithTimeout(ctx, callTimeout)
		header, err := u.remote.Call(short, client.Request{Method: http.MethodGet, Path: client.Path("vms", key)}, &now)
		cancel()
		if err != nil {
			return err
		}
		vm.ID = now.Spec.ID
		tags[vm.ID] = header.Get("ETag")
	}
	if dry {
		return a.plan(u, func(seed.VM) string { return "update" }, new(error))
	}
	changed := []api.VM{}
	for i, vm := range u.set.Document.VMs {
		spec, err := u.send(ctx, i, vm)
		if err != nil {
			return err
		}
		var v api.VM
		short, cancel := context.WithTimeout(ctx, callTimeout)
		_, err = u.remote.Call(short, client.Request{Method: http.MethodPut, Path: client.Path("vms", vm.ID), In: spec, Match: tags[vm.ID]}, &v)
		cancel()
		var answer *api.Error
		if errors.As(err, &answer) && answer.Code == api.CodeStale {
			return fmt.Errorf("%w: somebody else has changed it meanwhile; look at it and try again", err)
		}
		if err != nil {
			return err
		}
		changed = append(changed, v)
		a.note("%s: changed", v.Spec.Name)
	}
	if a.options.outputGiven && a.options.output != string(output.Table) {
		return a.print(changed, nil)
	}
	return nil
}
