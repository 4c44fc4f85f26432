package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"keel/vmkernel/vm/guestmem"
)

// An Image is what a guest is booted from.
type Image struct {
	Kernel  []byte   // bzImage, ELF with a PVH note, or multiboot kernel
	Initrd  []byte   // may be empty; to a PVH or multiboot kernel it is the first module
	Cmdline string   // passed as it is, without the kernel's name before it; no NUL bytes, at most MaxCmdline
	Modules []Module // PVH and multiboot only, at most MaxModules with the initrd

	// Room is called before n bytes of RAM are written at gpa, unless it is nil. Where it returns an error they aren't, and Load
	// fails with it.
	Room func(gpa, n uint64) error
}

// A Module is a further file for the kernel, with a string that tells it what
// the file is for.
type Module struct {
	Data    []byte
	Cmdline string
}

// Limits of an Image. A bzImage can set a lower one for its command line.
const (
	MaxCmdline = 64 << 10 // bytes in a kernel's or a module's command line
	MaxModules = 64
)

// A Format is a way in which kernels are booted.
type Format uint8

// The formats that Load knows.
const (
	FormatLinux     Format = iota + 1 // bzImage, 64-bit boot protocol
	FormatPVH                         // ELF with XEN_ELFNOTE_PHYS32_ENTRY
	FormatMultiboot                   // multiboot version 1
)

func (f Format) String() string {
	switch f {
	case FormatLinux:
		return "bzImage"
	case FormatPVH:
		return "pvh"
	case FormatMultiboot:
		return "multiboot"
	}
	return fmt.Sprintf("format %d", uint8(f))
}

// Load writes img and all that its boot protocol hands over into m and
// returns the state in which the boot processor starts. rsdp is the
// guest-physical address of the ACPI RSDP, or 0 for none. m is laid out as
// guestmem.Split says. After an error the contents of m are undefined.
func Load(m *guestmem.Memory, img Image, rsdp uint64) (Entry, error) {
	e, err := load(m, img, rsdp)
	if err != nil {
		return Entry{}, fmt.Errorf("loader: %w", err)
	}
	return e, nil
}

func load(m *guestmem.Memory, img Image, rsdp uint64) (Entry, error) {
	memmap, err := MemoryMap(m)
	if err != nil {
		return Entry{}, err
	}
	if err := img.check(); err != nil {
		return Entry{}, err
	}
	j := &job{m: roomy{m, img.Room}, space: newSpace(memmap), memmap: memmap, img: img, rsdp: rsdp}
	if err := j.biosData(); err != nil {
		return Entry{}, err
	}
	kernel := img.Kernel
	if isBzImage(kernel) {
		return wrap("bzImage", j.bzImage)
	}
	header, mbErr := findMultiboot(kernel)
	if isELF(kernel) {
		file, err := parseELF(kernel)
		if err != nil {
			return Entry{}, fmt.Errorf("ELF kernel: %w", err)
		}
		if entry, found, err := file.pvhEntry(); err != nil {
			return Entry{}, fmt.Errorf("ELF kernel: %w", err)
		} else if found {
			return wrap("PVH kernel", func() (Entry, error) { return j.pvh(file, entry) })
		}
		if header != nil {
			return wrap("multiboot kernel", func() (Entry, error) { return j.multiboot(header, file) })
		}
		if mbErr != nil {
			return Entry{}, fmt.Errorf("ELF kernel: no PVH note, and %w", mbErr)
		}
		return Entry{}, errors.New("ELF without a PVH note or multiboot header: " + wanted)
	}
	if header != nil {
		return wrap("multiboot kernel", func() (Entry, error) { return j.multiboot(header, nil) })
	}
	if mbErr != nil {
		return Entry{}, mbErr
	}
	return Entry{}, fmt.Errorf("%s: %s", describe(kernel), wanted)
}

func wrap(what string, f func() (Entry, error)) (Entry, error) {
	e, err := f()
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", what, err)
	}
	return e, nil
}

// check refuses what no format can take.
func (img *Image) check() error {
	if err := checkCmdline("command line", img.Cmdline); err != nil {
		return err
	}
	if n := len(img.modules()); n > MaxModules {
		return fmt.Errorf("%d modules, the initrd included: at most %d are possible", n, MaxModules)
	}
	for i, mod := range img.Modules {
		if err := checkCmdline(fmt.Sprintf("module %d's command line", i), mod.Cmdline); err != nil {
			return err
		}
	}
	return nil
}

func checkCmdline(what, s string) error {
	if len(s) > MaxCmdline {
		return fmt.Errorf("%s has %d bytes, at most %d are possible", what, len(s), MaxCmdline)
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return fmt.Errorf("%s has a NUL at byte %d: remove it", what, i)
	}
	return nil
}

// modules returns the initrd, if there is one, and the modules after it.
func (img *Image) modules() []Module {
	if len(img.Initrd) == 0 {
		return img.Modules
	}
	return append([]Module{{Data: img.Initrd}}, img.Modules...)
}

// A job is one Load under way.
type job struct {
	m      roomy
	space  *space
	memmap []MapEntry
	img    Image
	rsdp   uint64
}

// A roomy memory asks for room before it is written to: what an image says of itself may be far more than its file.
type roomy struct {
	m    *guestmem.Memory
	room func(gpa, n uint64) error
}

func (r roomy) ask(gpa, n uint64) error {
	if r.room == nil || n == 0 || !r.m.Contains(gpa, n) {
		return nil // what isn't RAM is refused by who writes it
	}
	return r.room(gpa, n)
}

// WriteAt copies p to RAM at gpa.
func (r roomy) WriteAt(p []byte, gpa uint64) error {
	if err := r.ask(gpa, uint64(len(p))); err != nil {
		return err
	}
	return r.m.WriteAt(p, gpa)
}

// Zero clears n bytes of RAM at gpa.
func (r roomy) Zero(gpa, n uint64) error {
	if err := r.ask(gpa, n); err != nil {
		return err
	}
	return r.m.Zero(gpa, n)
}

// Where boot structures are put: in low RAM, between the real-mode interrupt
// table with the BIOS data area and the memory that firmware keeps.
const (
	bootLow  = 0x1000
	bootHigh = 0x9F000
)

// allocLow takes size bytes for a boot structure.
func (j *job) allocLow(size, align uint64, what string) (uint64, error) {
	return j.space.place(request{size: size, align: align, low: bootLow, high: bootHigh, what: what})
}

// putLow takes memory for the boot structure b and writes it there.
func (j *job) putLow(b []byte, align uint64, what string) (uint64, error) {
	gpa, err := j.allocLow(uint64(len(b)), align, what)
	if err != nil {
		return 0, err
	}
	return gpa, j.m.WriteAt(b, gpa)
}

// putString writes s, NUL-terminated, as a boot structure.
func (j *job) putString(s, what string) (uint64, error) {
	return j.putLow(append([]byte(s), 0), 16, what)
}

// A placed module is one that is in the guest's memory.
type placed struct {
	start, size uint64
	cmdline     uint64 // address of its string
}

// putModules places the initrd and the modules, page-aligned, in the first of
// the given windows that has room for each.
func (j *job) putModules(windows ...request) ([]placed, error) {
	var out []placed
	for i, mod := range j.img.modules() {
		what := fmt.Sprintf("module %d", i)
		if i == 0 && len(j.img.Initrd) > 0 {
			what = "initrd"
		}
		start, err := j.putPages(mod.Data, what, windows...)
		if err != nil {
			return nil, err
		}
		cmdline, err := j.putString(mod.Cmdline, what+"'s command line")
		if err != nil {
			return nil, err
		}
		out = append(out, placed{start, uint64(len(mod.Data)), cmdline})
	}
	return out, nil
}

// putPages writes b to whole pages in the first of the windows that has room.
// The error of the last one is returned: let it be the widest.
func (j *job) putPages(b []byte, what string, windows ...request) (gpa uint64, err error) {
	for _, w := range windows {
		w.size, w.align, w.what = (uint64(len(b))+pageSize-1)&^(pageSize-1), pageSize, what
		if gpa, err = j.space.place(w); err == nil {
			return gpa, j.m.WriteAt(b, gpa)
		}
	}
	return 0, err
}

const pageSize = 4096

var le = binary.LittleEndian
