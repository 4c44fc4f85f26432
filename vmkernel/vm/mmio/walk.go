package mmio

import "fmt"

// Memory is the guest's RAM; guestmem.Memory is one. Addresses are
// guest-physical. An access that is not wholly RAM is an error and does
// nothing.
type Memory interface {
	Read64(gpa uint64) (uint64, error)
	ReadAt(p []byte, gpa uint64) error
	WriteAt(p []byte, gpa uint64) error
}

// An Access says what a linear address is translated for.
type Access uint8

const (
	ForRead Access = iota
	ForWrite
	ForFetch
)

// Page-fault error code (SDM 3A 4.7).
const (
	pfPresent  = 1 << 0
	pfWrite    = 1 << 1
	pfUser     = 1 << 2
	pfReserved = 1 << 3
	pfFetch    = 1 << 4
)

// A PageFault is a linear address that the guest's page tables don't
// translate. The caller injects #PF with Code and CR2 = Linear.
type PageFault struct {
	Linear uint64
	Code   uint32
}

func (f *PageFault) Error() string {
	return fmt.Sprintf("mmio: page fault at linear address %#x, error code %#x", f.Linear, f.Code)
}

// Bits of a paging-structure entry (SDM 3A 4.5).
const (
	pteP  = 1 << 0
	pteW  = 1 << 1
	pteU  = 1 << 2
	ptePS = 1 << 7
	pteNX = 1 << 63

	frameMask = 0x000f_ffff_ffff_f000
)

// Translate walks the guest's page tables as c has them (off, 32-bit, PAE or
// 4-level; 5-level paging is never offered to a guest) and returns the
// guest-physical address of linear. It reads at most 4 entries. Errors are a
// *PageFault, or say why the walk itself is impossible.
func Translate(mem Memory, c *CPU, linear uint64, access Access) (uint64, error) {
	if c.CR0&cr0PG == 0 {
		return linear & 0xffffffff, nil
	}
	w := walk{mem: mem, cpu: c, linear: linear, access: access, writable: true, user: true}
	switch {
	case c.EFER&eferLMA != 0:
		if c.CR4&cr4LA57 != 0 {
			return 0, fmt.Errorf("mmio: CR4 %#x: 5-level paging is not offered", c.CR4)
		}
		if uint64(int64(linear<<16)>>16) != linear {
			return 0, fmt.Errorf("mmio: linear address %#x is not canonical", linear)
		}
		return w.long(c.CR3&frameMask, 4)
	case c.CR4&cr4PAE != 0:
		// SDM 3A 4.4.1: four PDPTEs, which have no permission bits.
		pdpte, err := w.entry(c.CR3&0xffffffe0, linear>>30&3)
		if err != nil {
			return 0, err
		}
		return w.long(pdpte&frameMask, 2)
	}
	return w.legacy()
}

type walk struct {
	mem            Memory
	cpu            *CPU
	linear         uint64
	access         Access
	writable, user bool // by all entries so far
	noExec         bool
}

// long walks tables of 8-byte entries from level (4 or 2) down.
func (w *walk) long(table uint64, level int) (uint64, error) {
	for ; ; level-- {
		shift := uint(12 + 9*(level-1))
		e, err := w.entry(table, w.linear>>shift&511)
		if err != nil {
			return 0, err
		}
		w.writable = w.writable && e&pteW != 0
		w.user = w.user && e&pteU != 0
		w.noExec = w.noExec || e&pteNX != 0 && w.cpu.EFER&eferNXE != 0
		if level == 4 && e&ptePS != 0 {
			return 0, w.fault(pfPresent | pfReserved)
		}
		if level == 1 || e&ptePS != 0 {
			offset := uint64(1)<<shift - 1
			return w.page(e&frameMask&^offset | w.linear&offset)
		}
		table = e & frameMask
	}
}

// legacy walks the two levels of 4-byte entries (SDM 3A 4.3).
func (w *walk) legacy() (uint64, error) {
	table := w.cpu.CR3 & 0xfffff000
	for _, shift := range [2]uint{22, 12} {
		index := w.linear >> shift & 1023
		pair, err := w.read(table + index/2*8)
		if err != nil {
			return 0, err
		}
		e := pair >> (index & 1 * 32) & 0xffffffff
		if e&pteP == 0 {
			return 0, w.fault(0)
		}
		w.writable = w.writable && e&pteW != 0
		w.user = w.user && e&pteU != 0
		if shift == 22 && e&ptePS != 0 && w.cpu.CR4&cr4PSE != 0 {
			high := e >> 13 & 0xff << 32 // PSE-36
			return w.page(high | e&0xffc00000 | w.linear&0x3fffff)
		}
		table = e & 0xfffff000
	}
	return w.page(table | w.linear&0xfff)
}

// entry reads a present 8-byte entry.
func (w *walk) entry(table, index uint64) (uint64, error) {
	e, err := w.read(table + index*8)
	if err == nil && e&pteP == 0 {
		err = w.fault(0)
	}
	return e, err
}

func (w *walk) read(gpa uint64) (uint64, error) {
	e, err := w.mem.Read64(gpa)
	if err != nil {
		return 0, fmt.Errorf("mmio: page table entry at %#x for linear address %#x: %w", gpa, w.linear, err)
	}
	return e, nil
}

// page checks the permissions of the page at gpa (SDM 3A 4.6).
func (w *walk) page(gpa uint64) (uint64, error) {
	c := w.cpu
	ok := true
	if c.CPL == 3 {
		ok = w.user && (w.access != ForWrite || w.writable)
	} else {
		if w.access == ForWrite && !w.writable && c.CR0&cr0WP != 0 {
			ok = false
		}
		if w.user && w.access == ForFetch && c.CR4&cr4SMEP != 0 {
			ok = false
		}
		if w.user && w.access != ForFetch && c.CR4&cr4SMAP != 0 && c.RFLAGS&flagAC == 0 {
			ok = false
		}
	}
	if w.access == ForFetch && w.noExec {
		ok = false
	}
	if !ok {
		return 0, w.fault(pfPresent)
	}
	return gpa, nil
}

func (w *walk) fault(code uint32) error {
	switch w.access {
	case ForWrite:
		code |= pfWrite
	case ForFetch:
		if c := w.cpu; c.CR4&cr4SMEP != 0 || c.EFER&eferNXE != 0 && (c.CR4&cr4PAE != 0) {
			code |= pfFetch
		}
	}
	if w.cpu.CPL == 3 {
		code |= pfUser
	}
	return &PageFault{w.linear, code}
}
