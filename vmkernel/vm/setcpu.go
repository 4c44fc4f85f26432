package vm

import "keel/vmkernel/seed"

// SetCPU changes shares, reservation, limit and affinity of the VM's processors, whether it is on or not; of one that is on
// at once. It is refused with the numbers where it can't be. Errors: those of Update, ErrNoProcessors.
func (v *VM) SetCPU(to seed.Share, affinity []int) error {
	spec := *v.Spec()
	spec.CPU.Share, spec.CPU.Affinity = to, affinity
	return v.Update(spec, 0)
}

// Exclusive are the logical processors that the VM has for itself, ascending: none while it is off.
func (v *VM) Exclusive() []int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.run == nil || v.run.in == nil || v.run.in.slot == nil {
		return nil
	}
	return v.run.in.slot.exclusive()
}

// setProcessors has a description's policy of processors take effect, or refuses it. The VM's mutex is held.
func (v *VM) setProcessors(spec *seed.VM) error {
	if v.run == nil || v.run.in == nil || v.run.in.slot == nil {
		return v.m.host.processors.check(spec) // it takes effect when it is started
	}
	return v.run.in.slot.set(v.run.in, &spec.CPU)
}
