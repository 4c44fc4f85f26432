package handover

// Capacities of the fixed structure.
const (
	MaxRanges       = 128
	MaxModules      = 16
	MaxReservations = 48
	TextSize        = 4096 // bytes of the command line, and of all modules' command lines together
)

// PhysicalLimit is the first address that no processor can reach: physical addresses have at most
// 52 bits (SDM 3A 4.1.4). Ranges are clipped to it, so that sums of addresses and lengths can't wrap.
const PhysicalLimit = 1 << 52

const (
	pageSize = 4096
	lowEnd   = 1 << 20 // below it live the firmware's data and the processors' start code
)

// Protocol is the way in which Keel was started.
type Protocol uint8

const (
	PVH        Protocol = 1 // Xen's x86/HVM direct boot, as QEMU's -kernel uses it
	Multiboot2 Protocol = 2 // GRUB, from BIOS or UEFI
)

func (p Protocol) String() string {
	switch p {
	case PVH:
		return "PVH"
	case Multiboot2:
		return "multiboot2"
	}
	return "unknown"
}

// Notes say what the lead-in to the log should mention: where a fallback was taken, or something
// was left out.
type Notes uint32

const (
	NoteMapFromEFI          Notes = 1 << iota // no plain memory map: UEFI's was taken
	NoteMapFromBasic                          // no memory map at all: only the two sizes of basic memory information
	NoteRSDPInTag                             // RSDP is the loader's copy; a Reservation covers it
	NoteRangesDropped                         // the map was full: BytesDropped of usable memory were given up
	NoteModulesDropped                        // more than MaxModules modules
	NoteTextTruncated                         // a module's command line was cut off
	NoteFramebufferRejected                   // the framebuffer's description contradicts itself
)

// Handover is what boot passes on. All addresses are physical. The zero value is an empty one.
type Handover struct {
	Protocol             Protocol
	EFI                  bool // the firmware is UEFI
	CommandLineTruncated bool
	Notes                Notes

	Info         uint64 // the loader's structure
	RSDP         uint64 // ACPI's root pointer, or 0: not given, acpi.Parse then searches for it
	EFISystem    uint64 // UEFI's system table, or 0
	BytesDropped uint64 // usable memory that didn't fit into Ranges

	Framebuffer Framebuffer

	NumRanges         uint32
	NumModules        uint32
	NumReservations   uint32
	CommandLineLength uint32 // bytes
	ModuleTextLength  uint32 // bytes

	Ranges       [MaxRanges]Range             // sorted, disjoint, page-aligned, touching ones of one type merged
	Modules      [MaxModules]Module           // in the loader's order
	Reservations [MaxReservations]Reservation // in no order, may overlap
	CommandLine  [TextSize]byte               // raw: escape it before it is shown
	ModuleText   [TextSize]byte               // the modules' command lines, raw
}

// Why memory is reserved.
type Why uint8

const (
	LowMemory  Why = 1 // the first MiB
	LoaderInfo Why = 2 // the loader's structures: free once the Handover is filled
	ModuleData Why = 3
	RSDPCopy   Why = 4 // free once acpi.Parse has run
	Other      Why = 5 // the caller's own: the kernel's image, page tables, ...
)

// Reservation is page-aligned memory that the page-frame allocator must not hand out although
// the map calls it usable.
type Reservation struct {
	Base, End uint64
	Why       Why
}

// Reserve keeps [base, base+length), widened to whole pages, out of NextFree. It is false where the
// list is full. core: any stack, before the frame allocator starts.
func (h *Handover) Reserve(base, length uint64, why Why) bool {
	if length == 0 || base >= PhysicalLimit {
		return true
	}
	end := base + min(length, PhysicalLimit-base)
	if h.NumReservations >= MaxReservations {
		return false
	}
	r := &h.Reservations[h.NumReservations]
	r.Base = base &^ (pageSize - 1)
	r.End = (end + pageSize - 1) &^ (pageSize - 1)
	r.Why = why
	h.NumReservations++
	return true
}

// NextFree gives the first piece of usable memory at or above from that no reservation touches:
// page-aligned, not empty, as long as it goes. base = end = 0 means that there is none. Called
// with from = 0 and then with the end that it gave, it walks all free memory in order.
func (h *Handover) NextFree(from uint64) (base, end uint64) {
	if from >= PhysicalLimit {
		return 0, 0
	}
	base = (from + pageSize - 1) &^ (pageSize - 1)
	for i := uint32(0); i < h.NumRanges; i++ {
		r := &h.Ranges[i]
		if r.Type != Usable || r.End() <= base {
			continue
		}
		base = h.skipReserved(max(base, r.Base))
		if base >= r.End() {
			continue
		}
		end = r.End()
		for j := uint32(0); j < h.NumReservations; j++ {
			if s := &h.Reservations[j]; s.Base > base && s.Base < end {
				end = s.Base
			}
		}
		return base, end
	}
	return 0, 0
}

// LowFree is the lowest page-aligned address of size bytes, at least 1, of usable memory below 1 MiB
// that hold nothing: no page 0 and no reservation but LowMemory's own. It is for the code at which
// other processors start. A loader may have put modules, its structures and the RSDP's copy
// there: GRUB does under UEFI. 0 means that there is none.
func (h *Handover) LowFree(size uint64) uint64 {
	for base := uint64(pageSize); base < lowEnd && size <= lowEnd-base; base += pageSize {
		if h.isUsable(base, base+size) && !h.isOccupied(base, base+size) {
			return base
		}
	}
	return 0
}

// isUsable reports whether one usable range covers [base, end); touching ones are merged.
func (h *Handover) isUsable(base, end uint64) bool {
	i := h.firstAbove(base)
	return i < h.NumRanges && h.Ranges[i].Type == Usable && h.Ranges[i].Base <= base && h.Ranges[i].End() >= end
}

// isOccupied reports whether a reservation other than LowMemory touches [base, end).
func (h *Handover) isOccupied(base, end uint64) bool {
	for i := uint32(0); i < h.NumReservations; i++ {
		if r := &h.Reservations[i]; r.Why != LowMemory && r.Base < end && base < r.End {
			return true
		}
	}
	return false
}

// skipReserved is the first address at or above a that no reservation covers. Every reservation
// can raise it once, so that many rounds suffice.
func (h *Handover) skipReserved(a uint64) uint64 {
	for round := uint32(0); round < h.NumReservations; round++ {
		before := a
		for j := uint32(0); j < h.NumReservations; j++ {
			if s := &h.Reservations[j]; s.Base <= a && a < s.End {
				a = s.End
			}
		}
		if a == before {
			break
		}
	}
	return a
}
