package vm

import (
	"reflect"
	"strings"

	"keel/vmkernel/seed"
)

// Update gives the VM another description, whose id is empty or its own. revision is the Status.Revision that the change
// was made for; 0 is any. While the VM isn't stopped only its name, labels, autostart, onPowerOff, onReboot, onCrash,
// stopTimeout, and the policies and pools of processors and memory can change, and take effect at once, or, of one that starts, before
// it runs: if they can't be had by then, it doesn't start. Errors: ErrNotFound,
// ErrExists, ErrInvalid, RevisionError, StateError, datastore's ErrNotFound and ErrIncomplete; then nothing has changed.
func (v *VM) Update(spec seed.VM, revision uint64) error {
	m := v.m
	defer m.Hold()()
	m.mu.Lock()
	defer m.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.want("change", Off, Starting, Running, Paused, Stopping); err != nil {
		return err
	}
	old := v.spec
	if spec.ID == "" {
		spec.ID = v.id
	}
	if spec.ID != v.id {
		return faultf(ErrInvalid, "%s has the id %s, which never changes: leave %s out, or make a VM of its own", old.Name, v.id, spec.ID)
	}
	if revision != 0 && revision != v.status.Revision {
		return &RevisionError{old.Name, revision, v.status.Revision}
	}
	if reflect.DeepEqual(old, &spec) {
		return nil
	}
	if err := m.nameFree(spec.Name, v); err != nil {
		return err
	}
	if fixed := fixedChanges(old, &spec); fixed != nil {
		if err := v.want("change "+strings.Join(fixed, ", "), Off); err != nil {
			return err
		}
		if err := m.images.Hold(v, append(references(old), references(&spec)...)...); err != nil {
			return err
		}
		defer func() { m.images.Hold(v, references(v.spec)...) }() // of both, those of the one that it has in the end
	}
	if err := v.setPolicies(old, &spec); err != nil {
		return err
	}
	delete(m.byName, old.Name)
	m.byName[spec.Name] = v
	v.setSpec(&spec)
	if v.run != nil && v.run.in != nil {
		v.run.in.rename(spec.Name)
	}
	v.emit(Updated, "")
	return nil
}

// setPolicies has what differs of two descriptions' policies of memory and processors take effect, or none of it. The VM's mutex is
// held.
func (v *VM) setPolicies(old, spec *seed.VM) error {
	memory := old.Memory != spec.Memory
	if memory {
		if err := v.setMemory(spec); err != nil {
			return err
		}
	}
	if reflect.DeepEqual(old.CPU, spec.CPU) {
		return nil
	}
	err := v.setProcessors(spec)
	if err != nil && memory {
		v.setMemory(old) // it had that before
	}
	return err
}

// fixedChanges names what differs of what only a stopped VM can change.
func fixedChanges(old, new *seed.VM) (names []string) {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"machine", old.Machine == new.Machine},
		{"cpu.count", old.CPU.Count == new.CPU.Count},
		{"cpu.model", old.CPU.Model == new.CPU.Model},
		{"memory.size", old.Memory.Size == new.Memory.Size},
		{"boot", reflect.DeepEqual(old.Boot, new.Boot)},
		{"serial", reflect.DeepEqual(old.Serial, new.Serial)},
		{"debug", old.Debug == new.Debug},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}
