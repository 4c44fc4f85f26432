package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

// planned is what a dry run says.
type planned struct {
	VM      string   `json:"vm"`
	ID      string   `json:"id"`
	Action  string   `json:"action"`            // create, update, none or conflict, and why
	Upload  []string `json:"upload"`            // images
	Images  []string `json:"images"`            // that are there
	Missing []string `json:"missing,omitempty"` // neither files here nor images there
}

// planCreate says what create would do.
func (a *app) planCreate(ctx context.Context, u *uploads) error {
	var vms api.VMs
	if err := u.remote.Get(ctx, client.Path("vms"), nil, &vms); err != nil {
		return err
	}
	return a.plan(u, func(vm *seed.VM, placed seed.VM) (string, error) {
		for _, v := range vms.VMs {
			switch {
			case v.ID == vm.ID:
				var now api.VM
				if err := u.remote.Get(ctx, client.Path("vms", v.ID), nil, &now); err != nil {
					return "", err
				}
				if same(&placed, &now.Spec) {
					return "none: it is there already", nil
				}
				return "conflict: it is there with another description", exit.Errorf(exit.Conflict,
					"%s: %s is there already with another description: `keelctl vm update` changes it", u.remote.Name(), v.Name)
			case v.Name == vm.Name:
				return "conflict: the name is taken by " + v.ID, exit.Errorf(exit.Conflict,
					"%s: a VM named %s is there already, with the id %s", u.remote.Name(), v.Name, v.ID)
			}
		}
		return "create", nil
	})
}

// planUpdate says what update would do.
func (a *app) planUpdate(ctx context.Context, u *uploads, unassigned map[string]bool) error {
	return a.plan(u, func(vm *seed.VM, placed seed.VM) (string, error) {
		now, _, err := u.described(ctx, vm, unassigned)
		if err != nil {
			return "", err
		}
		if placed.ID = vm.ID; same(&placed, &now.Spec) {
			return "none: it is so already", nil
		}
		return "update", nil
	})
}

// same says whether two descriptions are the same, whose files are images.
func same(x, y *seed.VM) bool {
	a, errA := json.Marshal(x)
	b, errB := json.Marshal(y)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// plan says what action says of each VM, which it gets with names of images, too, and where its files are.
func (a *app) plan(u *uploads, action func(vm *seed.VM, placed seed.VM) (string, error)) error {
	plans := []planned{}
	fault := a.eachVM(u, func(_ int, vm *seed.VM) error {
		p := planned{VM: vm.Name, Upload: []string{}, Images: []string{}}
		placed := *vm
		eachFile(&placed, func(name *string) {
			image, send := u.place(*name)
			_, local := u.set.Document.Files[*name]
			switch {
			case send:
				p.Upload = append(p.Upload, image)
			case local || u.whole[image]:
				p.Images = append(p.Images, image)
			default:
				p.Missing = append(p.Missing, image)
			}
			*name = image
		})
		var err error
		if p.Action, err = action(vm, placed); p.Action != "" {
			p.ID = vm.ID
			plans = append(plans, p)
		}
		if err == nil && p.Missing != nil {
			err = exit.Errorf(exit.NotFound, "%s: %s: neither a file here nor a whole image on %s", vm.Name, strings.Join(p.Missing, ", "), u.remote.Name())
		}
		return err
	})
	return a.also(fault, a.print(plans, func(rows *output.Rows) {
		rows.Header("VM", "would", "upload", "images there", "missing")
		for _, p := range plans {
			rows.Row(p.VM, p.Action, strings.Join(p.Upload, ", "), strings.Join(p.Images, ", "), strings.Join(p.Missing, ", "))
		}
	}))
}
