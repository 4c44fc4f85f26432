package vmx

import "keel/arch/amd64"

// Kinds of INVEPT and INVVPID (SDM 3C 31.3).
const (
	invSingle = 1
	invAll    = 2
)

// Bits of an EPT paging-structure entry (SDM 3C 29.3.2).
const (
	eptRead     = 1 << 0
	eptWrite    = 1 << 1
	eptExecute  = 1 << 2
	eptTypeWB   = 6 << 3 // memory type of a leaf
	eptIgnore   = 1 << 6 // ignore the guest's PAT: RAM is write-back whatever it asks for
	eptLarge    = 1 << 7
	eptAccess   = eptRead | eptWrite | eptExecute
	eptpWB      = 6
	eptpWalk4   = 3 << 3
	eptpDirties = 1 << 6
)

// EPTAccessed is the accessed flag of an EPT entry, where HasAccessedDirty.
const EPTAccessed = 1 << 8

// EPTE is an EPT entry that allows all access to physical address pa: a reference to a table
// (leafLevel 0), or a page of 4 KiB (1), 2 MiB (2) or 1 GiB (3), to which pa must be aligned.
func EPTE(pa uint64, leafLevel int) uint64 {
	switch leafLevel {
	case 0:
		return pa | eptAccess
	case 1:
		return pa | eptAccess | eptTypeWB | eptIgnore
	}
	return pa | eptAccess | eptTypeWB | eptIgnore | eptLarge
}

// EPTPointer is the EPT pointer (SDM 3C 25.6.11) to the root table at physical address root, with
// accessed and dirty flags where the processor has them.
func EPTPointer(root uint64) uint64 {
	p := root | eptpWB | eptpWalk4
	if caps.ept&eptAccessedDirty != 0 {
		p |= eptpDirties
	}
	return p
}

// Has1GPages says whether EPT maps 1 GiB pages.
func Has1GPages() bool { return caps.ept&ept1G != 0 }

// HasAccessedDirty says whether the processor keeps accessed (bit 8) and dirty (bit 9) flags in EPT
// entries.
func HasAccessedDirty() bool { return caps.ept&eptAccessedDirty != 0 }

// INVEPT drops from the calling processor what it cached of the tables under root. Every processor
// that ran the guest needs it after an entry was narrowed or removed, not after one was added.
func INVEPT(root uint64) {
	if caps.ept&eptINVEPTSingle != 0 {
		invept(invSingle, EPTPointer(root), 0)
	} else {
		invept(invAll, 0, 0)
	}
}

// HasINVEPTAll says whether INVEPTAll works.
func HasINVEPTAll() bool { return caps.ept&eptINVEPTAll != 0 }

// INVEPTAll drops from the calling processor what it cached of the tables of all VMs.
func INVEPTAll() { invept(invAll, 0, 0) }

// forget drops the guest's linear translations from the calling processor, as a guest's write to a
// control register or a move to another processor demands.
func (v *VCPU) forget() {
	if v.vpid == 0 {
		return // without a VPID each entry and exit does it
	}
	if caps.ept&vpidSingle != 0 {
		invvpid(invSingle, uint64(v.vpid), 0)
	} else {
		invvpid(invAll, 0, 0)
	}
}

// HostPhys finds the host-physical address of guest-physical address gpa by walking the VM's own
// tables; ok is false where nothing is mapped there.
func (v *VCPU) HostPhys(gpa uint64) (pa uint64, ok bool) {
	if gpa>>48 != 0 {
		return 0, false
	}
	table := v.root
	for shift := uint(39); ; shift -= 9 {
		e := peek64(table + gpa>>shift&511*8)
		if e&eptRead == 0 {
			return 0, false
		}
		pa = e & amd64.PTE_ADDR
		if shift == 12 || e&eptLarge != 0 {
			offset := uint64(1)<<shift - 1
			return pa&^offset | gpa&offset, true
		}
		table = pa
	}
}
