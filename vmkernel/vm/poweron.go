package vm

import (
	"errors"
	"fmt"
	"log/slog"

	"keel/arch/amd64/virt"
	"keel/vmkernel/datastore"
	"keel/vmkernel/linux"
	"keel/vmkernel/seed"
	"keel/vmkernel/sys"
	"keel/vmkernel/vm/acpitable"
	"keel/vmkernel/vm/cpumodel"
	"keel/vmkernel/vm/guestmem"
	"keel/vmkernel/vm/loader"
)

// A Host is what a VM has to know of the machine below.
type Host struct {
	Virt  uint64 // sys.VirtVTX or sys.VirtAMDV
	TSCHz uint64
	CPUID func(leaf, sub uint32) (eax, ebx, ecx, edx uint32)

	// As the VMs share them; NewManager sets them.
	memory     *memory
	processors *processors
}

// powerOn makes an instance that is ready to run: memory, tables and kernel in place, and the boot
// processor at the kernel's entry. An error is one line that names what was wrong.
// When stop is closed meanwhile it is ErrHalted. was is the instance before it, whose shares it takes over, or nil.
func powerOn(b Backend, host Host, spec *seed.VM, images datastore.Store, log *slog.Logger, out outlets, was *instance, stop <-chan struct{}) (*instance, error) {
	img, done, err := image(spec, images)
	if err != nil {
		return nil, err
	}
	defer done()
	in, err := newInstance(b, host, spec, log, out)
	if err != nil {
		return nil, err
	}
	if err := in.build(img, was, stop); err != nil {
		in.board.close()
		in.destroy()
		return nil, err
	}
	return in, nil
}

// image is what spec boots from, its images' contents checked; they may be used until done is called.
func image(spec *seed.VM, images datastore.Store) (img loader.Image, done func(), err error) {
	var open []datastore.Contents
	done = func() {
		for _, c := range open {
			c.Close()
		}
	}
	get := func(ref string) []byte {
		if err != nil {
			return nil
		}
		var c datastore.Contents
		if c, err = images.Open(ref); err != nil {
			return nil
		}
		open = append(open, c)
		return c.Bytes()
	}
	d := &spec.Boot.Direct
	img = loader.Image{Kernel: get(d.Kernel), Cmdline: d.Cmdline}
	if d.Initrd != "" {
		img.Initrd = get(d.Initrd)
	}
	for _, m := range d.Modules {
		img.Modules = append(img.Modules, loader.Module{Data: get(m.File), Cmdline: m.Cmdline})
	}
	if err != nil {
		done()
	}
	return img, done, err
}

func (in *instance) build(img loader.Image, was *instance, stop <-chan struct{}) error {
	if err := in.create(was, stop); err != nil {
		return err
	}
	entry, err := in.load(img, stop)
	if err != nil {
		return err
	}
	in.format = entry.Format
	for i := range in.spec.CPU.Count {
		page, err := in.backend.Page(in.handle, i)
		if err != nil {
			return fmt.Errorf("vm: virtual processor %d: %w", i, err)
		}
		in.cpus = append(in.cpus, newVCPU(in, i, page))
	}
	setEntry(&in.cpus[0].page.State, &entry)
	in.cpus[0].flags = sys.RunSetState
	return nil
}

// load puts what it boots from, and the firmware's tables, into its memory.
func (in *instance) load(img loader.Image, stop <-chan struct{}) (e loader.Entry, err error) {
	if err := in.share.room(0, acpitable.End, stop); err != nil {
		return e, err
	}
	rsdp, err := acpitable.Build(in.memory, acpitable.Config{CPUs: in.spec.CPU.Count})
	if err != nil {
		return e, err
	}
	var none error
	img.Room = func(gpa, n uint64) error {
		if none == nil {
			none = in.share.room(gpa, n, stop)
		}
		return none
	}
	e, err = loader.Load(in.memory, img, rsdp)
	switch {
	case none != nil:
		return e, none
	case err != nil:
		return e, found{err, ErrImage}
	}
	return e, in.share.loadedAll()
}

// admit gives it shares of the host's memory and processors, those of the instance before it if there was one.
func (in *instance) admit(was *instance, stop <-chan struct{}) (err error) {
	if was != nil && was.kept && was.share.again(in) {
		in.share, in.slot = was.share, was.slot
		return in.slot.again(in.spec)
	}
	was.leave()
	if in.share, err = in.host.memory.admit(in, stop); err == nil {
		in.slot, err = in.host.processors.admit(in.spec)
	}
	return err
}

// create makes the machine, with the memory that is reserved for it.
func (in *instance) create(was *instance, stop <-chan struct{}) error {
	if err := in.admit(was, stop); err != nil {
		return err
	}
	share, policy := in.share, in.slot.policy()
	share.settleOn(policy.Affinity)
	in.slot.settle(share.node)
	cfg := sys.VMConfig{Memory: in.spec.Memory.Size, VCPUs: uint64(in.spec.CPU.Count), Overhead: share.costs, Node: uint64(share.node), CPU: policy}
	model, kvmclock := cpumodel.Build(in.host.Virt, in.host.CPUID, in.spec.CPU.Count, in.host.TSCHz)
	cfg.NCPUID = uint64(copy(cfg.CPUID[:], model))
	if kvmclock {
		cfg.KVMClock = 1
	}
	h, err := in.backend.Create(&cfg)
	switch {
	case errors.Is(err, linux.ENOMEM):
		return faultf(ErrNoMemory, "the %s that it costs beyond its memory are more than the host has left, %s: stop a VM or give the host more memory",
			seed.FormatSize(share.costs), seed.FormatSize(in.backend.FreeMemory()))
	case errors.Is(err, linux.EAGAIN):
		return faultf(ErrNoRoom, "the host has no room for another VM: stop one")
	case err != nil:
		return fmt.Errorf("vm: the machine can't be made: %w", err)
	}
	in.mu.Lock()
	in.handle, in.gone = h, false
	in.mu.Unlock()
	if err := share.begin(stop); err != nil {
		return err
	}
	low, high, err := in.backend.Memory(h)
	if err != nil {
		return fmt.Errorf("vm: memory: %w", err)
	}
	ranges := []guestmem.Range{{GPA: 0, Bytes: low}}
	if len(high) > 0 {
		ranges = append(ranges, guestmem.Range{GPA: guestmem.HighStart, Bytes: high})
	}
	if in.memory, err = guestmem.New(ranges...); err != nil {
		return err
	}
	in.board.setMemory(in.memory)
	return nil
}

// setEntry makes s the state in which a kernel's boot protocol starts its first processor. What the
// protocol doesn't name is as after power-on.
func setEntry(s *virt.State, e *loader.Entry) {
	s.GPR = [16]uint64{virt.RAX: e.RAX, virt.RBX: e.RBX, virt.RSI: e.RSI, virt.RSP: e.RSP}
	s.RIP, s.RFLAGS = e.RIP, e.RFLAGS
	s.CR0, s.CR2, s.CR3, s.CR4, s.EFER = e.CR0, 0, e.CR3, e.CR4, e.EFER
	for i, g := range [8]*loader.Segment{
		virt.ES: &e.ES, virt.CS: &e.CS, virt.SS: &e.SS, virt.DS: &e.DS,
		virt.FS: &e.FS, virt.GS: &e.GS, virt.LDTR: &e.LDTR, virt.TR: &e.TR,
	} {
		s.Seg[i] = virt.Segment{Base: g.Base, Limit: g.Limit, Attr: g.Access, Selector: g.Selector}
	}
	s.GDTR = virt.Table{Base: e.GDTBase, Limit: uint32(e.GDTLimit)}
	s.IDTR = virt.Table{}
	s.DR6, s.DR7 = resetDR6, resetDR7
	s.Interruptibility, s.Activity = 0, 0
}

// Debug registers after power-on (SDM 3A table 9-1).
const (
	resetDR6 = 0xFFFF_0FF0
	resetDR7 = 0x400
)
