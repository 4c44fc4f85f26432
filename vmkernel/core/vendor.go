package core

import (
	"keel/arch/amd64"
	"keel/arch/amd64/svm"
	"keel/arch/amd64/virt"
	"keel/arch/amd64/vmx"
	"keel/vmkernel/sys"
)

// Which of the two the processors have, and why not where they have none. This file is the only
// one that knows both.
var (
	virtKind uint8
	noVirt   string
)

// probeVirt decides on the first processor what all of them must have.
func probeVirt() {
	if isAMD {
		ok, why := svm.Probe()
		if ok {
			virtKind = sys.VirtAMDV
		}
		noVirt = why
	} else {
		ok, why := vmx.Probe()
		if ok {
			virtKind = sys.VirtVTX
		}
		noVirt = why
	}
	if virtKind != sys.VirtNone && hasXSAVE == 0 {
		virtKind, noVirt = sys.VirtNone, "the processor has no XSAVE"
	}
}

// enableVirt switches virtualisation on for the calling processor.
func enableVirt() {
	if virtKind == sys.VirtNone {
		return
	}
	if cleanPage == 0 {
		cleanPage = amd64.DirectMap + uintptr(allocFrame(ownerKeel))
		*at[uint32](cleanPage + 24) = 0x1F80 // MXCSR
	}
	pa := allocFrame(ownerKeel)
	why := "too little memory"
	switch {
	case pa == 0:
	case virtKind == sys.VirtVTX:
		why = vmx.EnableCPU(pa)
	default:
		why = svm.EnableCPU(pa)
	}
	if why != "" {
		virtKind, noVirt = sys.VirtNone, why
	}
	initBrief()
	me().initHold()
}

func nestedHas1G() bool {
	if virtKind == sys.VirtVTX {
		return vmx.Has1GPages()
	}
	return svm.Has1GPages()
}

func nestedEntry(pa uint64, leaf int) uint64 {
	if virtKind == sys.VirtVTX {
		return vmx.EPTE(pa, leaf)
	}
	return svm.EPTE(pa, leaf)
}

// nestedAccessed is the accessed flag of an entry of the nested page table, 0 where the processor has none.
func nestedAccessed() uint64 {
	switch {
	case virtKind != sys.VirtVTX:
		return amd64.PTE_A
	case vmx.HasAccessedDirty():
		return vmx.EPTAccessed
	}
	return 0
}

func (v *vcpu) init(cfg *virt.Config) string {
	c := me()
	c.saveRest()
	c.vmcs = 0
	if virtKind == sys.VirtVTX {
		return v.vmx.Init(cfg)
	}
	return v.svm.Init(cfg)
}

func (v *vcpu) clearVendor() {
	if c := me(); c.vmcs == addrOf(v) { // else another's is loaded, or even running
		c.saveRest()
		c.vmcs = 0
	}
	if virtKind == sys.VirtVTX {
		v.vmx.Clear()
		return
	}
	v.svm.Clear()
}

func (v *vcpu) setState(s *virt.State) {
	if virtKind == sys.VirtVTX {
		v.vmx.SetState(s)
		return
	}
	v.svm.SetState(s)
}

func (v *vcpu) save(s *virt.State) {
	if virtKind == sys.VirtVTX {
		v.vmx.Save(s)
		return
	}
	v.svm.Save(s)
}

// enter runs the guest until an exit, decodes that and accounts for the time.
func (v *vcpu) enter(s *virt.State, page *sys.VCPUPage) {
	var entered, exited uint64
	if virtKind == sys.VirtVTX {
		v.vmx.Enter(s)
		entered, exited = v.vmx.Entered, v.vmx.Exited
		v.vmx.Decode(s)
	} else {
		entered = amd64.RDTSC()
		v.svm.Enter(s)
		exited = amd64.RDTSC()
		v.svm.Decode(s)
	}
	if v.lastExit != 0 {
		page.Outside += entered - v.lastExit
	} else if page.First == 0 {
		page.First = entered
	}
	page.Ticks += exited - entered
	v.lastExit = exited
	if k := s.Exit.Kind; k < virt.Kinds {
		page.Exits[k]++
	}
}

func (v *vcpu) skip(s *virt.State) {
	if virtKind == sys.VirtVTX {
		v.vmx.Skip(s)
		return
	}
	v.svm.Skip(s)
}

func (v *vcpu) setRIP(rip uint64) {
	if virtKind == sys.VirtVTX {
		v.vmx.SetRIP(rip)
		return
	}
	v.svm.SetRIP(rip)
}

func (v *vcpu) inject(e virt.Event) {
	if virtKind == sys.VirtVTX {
		v.vmx.Inject(e)
		return
	}
	v.svm.Inject(e)
}

func (v *vcpu) interruptible() bool {
	if virtKind == sys.VirtVTX {
		return v.vmx.Interruptible()
	}
	return v.svm.Interruptible()
}

func (v *vcpu) nmiPossible() bool {
	if virtKind == sys.VirtVTX {
		return v.vmx.NMIPossible()
	}
	return v.svm.NMIPossible()
}

func (v *vcpu) wantInterruptWindow(on bool) {
	if virtKind == sys.VirtVTX {
		v.vmx.WantInterruptWindow(on)
		return
	}
	v.svm.WantInterruptWindow(on)
}

func (v *vcpu) wantNMIWindow(on bool) {
	if virtKind == sys.VirtVTX {
		v.vmx.WantNMIWindow(on)
		return
	}
	v.svm.WantNMIWindow(on)
}

func (v *vcpu) setTPRThreshold(n uint8) {
	if n == v.tprThreshold {
		return
	}
	v.tprThreshold = n
	if virtKind == sys.VirtVTX {
		v.vmx.SetTPRThreshold(n)
		return
	}
	v.svm.SetTPRThreshold(n)
}

func (v *vcpu) setTSCOffset(offset uint64) {
	if virtKind == sys.VirtVTX {
		v.vmx.SetTSCOffset(offset)
		return
	}
	v.svm.SetTSCOffset(offset)
}

func (v *vcpu) handleCR(s *virt.State) bool {
	if virtKind == sys.VirtVTX {
		return v.vmx.HandleCR(s)
	}
	return v.svm.HandleCR(s)
}

func (v *vcpu) getMSR(s *virt.State, idx uint32) (uint64, bool) {
	if virtKind == sys.VirtVTX {
		return v.vmx.GetMSR(s, idx)
	}
	return v.svm.GetMSR(s, idx)
}

func (v *vcpu) setMSR(s *virt.State, idx uint32, x uint64) bool {
	if virtKind == sys.VirtVTX {
		return v.vmx.SetMSR(s, idx, x)
	}
	return v.svm.SetMSR(s, idx, x)
}

// check says which rule a refused state breaks.
func (v *vcpu) check() (field, rule string) {
	if virtKind == sys.VirtVTX {
		return v.vmx.Check()
	}
	return v.svm.Check()
}

// plainAccess says of a KindMMIO exit that it was a read or write by an instruction of 64-bit code
// under 4-level paging, and not for an event's delivery, a fetch or a page walk, and where that
// instruction and its page tables are.
func (v *vcpu) plainAccess(e *virt.Exit) (rip, cr3 uint64, ok bool) {
	if virtKind == sys.VirtVTX {
		return v.vmx.PlainAccess(e)
	}
	return v.svm.PlainAccess()
}
