// Package image reads a built kernel as a table of functions: what is in it, from which package,
// and which half of Keel that belongs to.
//
// The rule that it keeps: it judges nothing; tools/lowercheck and tools/surface do.
package image

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// A Func is a function of the image.
type Func struct {
	Name    string
	Package string // import path; "" for what the linker made
	Addr    uint64
	Code    []byte
}

// Image is a kernel as `go build` leaves it, with its symbols.
type Image struct {
	Funcs  []*Func // by address
	Data   uint64  // bytes of data that the file holds
	BSS    uint64  // and of data that it doesn't
	byAddr map[uint64]*Func
	vars   map[string]uint64
}

// Open reads the image in a file.
func Open(path string) (*Image, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", path, err)
	}
	defer f.Close()
	text := f.Section(".text")
	if text == nil {
		return nil, fmt.Errorf("image %s: no .text section", path)
	}
	code, err := text.Data()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", path, err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w: give the image as go build leaves it (keel.raw)", path, err)
	}
	im := New(nil)
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			im.vars[s.Name] = s.Value
			continue
		}
		if s.Value < text.Addr || s.Value-text.Addr >= uint64(len(code)) || s.Size == 0 {
			continue
		}
		off := s.Value - text.Addr
		fn := &Func{s.Name, PackageOf(s.Name), s.Value, code[off:min(off+s.Size, uint64(len(code)))]}
		im.add(fn)
	}
	im.sort()
	if len(im.Funcs) == 0 {
		return nil, fmt.Errorf("image %s: no functions among its symbols", path)
	}
	for _, s := range f.Sections {
		switch {
		case s.Flags&elf.SHF_ALLOC == 0 || s == text:
		case s.Type == elf.SHT_NOBITS:
			im.BSS += s.Size
		default:
			im.Data += s.Size
		}
	}
	return im, nil
}

// New returns an image of these functions, for tests.
func New(funcs []*Func) *Image {
	im := &Image{byAddr: map[uint64]*Func{}, vars: map[string]uint64{}}
	for _, f := range funcs {
		im.add(f)
	}
	im.sort()
	return im
}

func (im *Image) add(f *Func) {
	if im.byAddr[f.Addr] == nil {
		im.byAddr[f.Addr] = f
		im.Funcs = append(im.Funcs, f)
	}
}

func (im *Image) sort() {
	slices.SortFunc(im.Funcs, func(a, b *Func) int { return cmp.Compare(a.Addr, b.Addr) })
}

// Find returns the function of that name, or nil. Where a Go function is also called from assembly
// there is a second one, named with .abi0 behind.
func (im *Image) Find(name string) *Func {
	for _, f := range im.Funcs {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// At returns the function that holds the address, or nil.
func (im *Image) At(addr uint64) *Func {
	if f := im.byAddr[addr]; f != nil {
		return f
	}
	i, _ := slices.BinarySearchFunc(im.Funcs, addr, func(f *Func, a uint64) int { return cmp.Compare(f.Addr, a) })
	if i == 0 {
		return nil
	}
	if f := im.Funcs[i-1]; addr-f.Addr < uint64(len(f.Code)) {
		return f
	}
	return nil
}

// Var returns the address of a variable, or 0.
func (im *Image) Var(name string) uint64 { return im.vars[name] }

// PackageOf returns the import path in a symbol's name, such as keel/vmkernel/core in
// keel/vmkernel/core.(*cpu).call.
func PackageOf(symbol string) string {
	if strings.HasPrefix(symbol, "type:") || strings.HasPrefix(symbol, "go:") {
		return ""
	}
	symbol, _, _ = strings.Cut(symbol, "[") // type arguments
	slash := strings.LastIndexByte(symbol, '/')
	name, _, found := strings.Cut(symbol[slash+1:], ".")
	if !found {
		return ""
	}
	return strings.ReplaceAll(symbol[:slash+1]+name, "%2e", ".")
}

// Half is where a package belongs.
type Half string

// Halves, and what is neither.
const (
	Lower   Half = "lower half"
	Upper   Half = "upper half"
	Runtime Half = "Go runtime and standard library"
	Depends Half = "dependency"
)

// lower are the packages of the lower half.
var lower = map[string]bool{
	"keel/arch/amd64":              true,
	"keel/arch/amd64/svm":          true,
	"keel/arch/amd64/virt":         true,
	"keel/arch/amd64/vmx":          true,
	"keel/boot":                    true,
	"keel/boot/acpi":               true,
	"keel/boot/smbios":             true,
	"keel/boot/handover":           true,
	"keel/boot/physmem":            true,
	"keel/vmkernel/core":           true,
	"keel/vmkernel/device/i8254":   true,
	"keel/vmkernel/device/i8259":   true,
	"keel/vmkernel/device/ioapic":  true,
	"keel/vmkernel/device/lapic":   true,
	"keel/vmkernel/device/pmtimer": true,
	"keel/vmkernel/sched":          true,
}

// HalfOf says where a package belongs, by its import path.
func HalfOf(pkg string) Half {
	first, _, _ := strings.Cut(pkg, "/")
	switch {
	case lower[pkg]:
		return Lower
	case first == "keel" || pkg == "main":
		return Upper
	case strings.Contains(first, "."):
		return Depends
	}
	return Runtime
}
