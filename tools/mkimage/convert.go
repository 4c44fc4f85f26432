package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Offsets in ELF64 structures (System V ABI, chapters 4 and 5) that are written.
const (
	ehdrSize     = 64
	ehdrPhoff    = 32
	ehdrShoff    = 40
	ehdrPhentsz  = 54
	ehdrShentsz  = 58
	ehdrShnum    = 60
	ehdrShstrndx = 62

	phdrSize   = 56
	phdrType   = 0
	phdrFlags  = 4
	phdrOffset = 8
	phdrVaddr  = 16
	phdrPaddr  = 24
	phdrFilesz = 32
	phdrMemsz  = 40
	phdrAlign  = 48
)

// What boot/entry_amd64.s relies on.
const (
	imageBase  = 0x1000000 // where the first page is
	earlyStack = 0xE00     // in that page, where the entry's stack begins; it grows down
	stackBytes = 0x100     // what the entry may use of it
)

const (
	highest = 1 << 32 // boot loaders enter in 32-bit mode

	multiboot1Magic = 0x1BADB002 // Multiboot Specification 0.6.96, section 3.1.1
)

// image is a bootable kernel image.
type image struct {
	bytes     []byte
	entry     uint32 // physical address of the 32-bit entry
	low, high uint64 // physical addresses that it occupies, high exclusive
	buildID   string // the Go tool's; "none" without one
}

// convert makes a bootable image of raw, a static ELF64 program made by the Go
// linker with `-E symbol`. It never changes raw.
func convert(raw []byte, symbol string) (*image, error) {
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("not an ELF file: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("is %v %v %v, not a static 64-bit x86 program; build with CGO_ENABLED=0 GOOS=linux GOARCH=amd64",
			f.Class, f.Machine, f.Type)
	}
	phoff := binary.LittleEndian.Uint64(raw[ehdrPhoff:])
	if phoff != ehdrSize || binary.LittleEndian.Uint16(raw[ehdrPhentsz:]) != phdrSize {
		return nil, fmt.Errorf("program headers at %#x, not behind the ELF header: the linker's layout has changed", phoff)
	}

	if err := refuseProcessed(f, raw); err != nil {
		return nil, err
	}
	img := &image{buildID: buildID(f)}
	if err := img.setSegments(f, len(raw)); err != nil {
		return nil, err
	}
	if err := img.setEntry(f, symbol); err != nil {
		return nil, err
	}
	if err := img.trimTail(f); err != nil {
		return nil, err
	}
	slack, err := findSlack(f, raw)
	if err != nil {
		return nil, err
	}
	return img, img.write(f, raw, slack)
}

// refuseProcessed reports an error when raw already describes itself to a boot loader. TamaGo's linker
// gives a program a PVH note, for the same entry: it stays beside ours.
func refuseProcessed(f *elf.File, raw []byte) error {
	tamago := f.Section(".note.go.pvh")
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || tamago != nil && p.Off == tamago.Offset {
			continue
		}
		note := make([]byte, 16)
		if _, err := p.ReadAt(note, 0); err == nil && string(note[12:]) == xenNoteName {
			return errors.New("already has a PVH note: give the program that the Go linker wrote, not an image")
		}
	}
	for i := 0; i+4 <= len(raw) && i < multiboot2Search; i += multiboot2Align {
		if binary.LittleEndian.Uint32(raw[i:]) == multiboot2Magic {
			return fmt.Errorf("already has a multiboot2 header, at offset %#x", i)
		}
	}
	// QEMU would take it for a multiboot1 kernel and not look for the note.
	for i := 0; i+12 <= len(raw) && i < 8192; i += 4 {
		w := func(n int) uint32 { return binary.LittleEndian.Uint32(raw[i+4*n:]) }
		if w(0) == multiboot1Magic && w(0)+w(1)+w(2) == 0 {
			return fmt.Errorf("has a multiboot1 header, at offset %#x", i)
		}
	}
	return nil
}

// setSegments checks what is loaded and where.
func (img *image) setSegments(f *elf.File, size int) error {
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP, elf.PT_DYNAMIC, elf.PT_TLS:
			return fmt.Errorf("has a %v segment: link it statically, without cgo", p.Type)
		case elf.PT_LOAD:
		default:
			continue
		}
		end := p.Vaddr + p.Memsz
		switch {
		case p.Filesz > p.Memsz || p.Off+p.Filesz < p.Off || p.Off+p.Filesz > uint64(size):
			return fmt.Errorf("segment at %#x: %#x bytes at offset %#x don't lie in the file of %#x bytes", p.Vaddr, p.Filesz, p.Off, size)
		case end < p.Vaddr || end > highest:
			return fmt.Errorf("segment at %#x ends at %#x, above 4 GiB, where a 32-bit boot loader can't put it; link with -T 0x1001000", p.Vaddr, end)
		case img.high == 0 && p.Vaddr != imageBase:
			return fmt.Errorf("the first segment is at %#x, the entry relies on %#x; link with -T 0x1001000", p.Vaddr, imageBase)
		case p.Vaddr < img.high:
			return fmt.Errorf("segment at %#x begins before the end of the one before it, %#x", p.Vaddr, img.high)
		}
		if img.high == 0 {
			if p.Off != 0 {
				return fmt.Errorf("the first segment begins at file offset %#x, not 0: the headers wouldn't be loaded", p.Off)
			}
			img.low = p.Vaddr
		}
		img.high = end
	}
	if img.high == 0 {
		return errors.New("has no loadable segment")
	}
	return nil
}

// setEntry finds symbol, plain or with the suffix of its ABI, and checks that
// the linker has made it the program's entry.
func (img *image) setEntry(f *elf.File, symbol string) error {
	syms, err := f.Symbols()
	if err != nil {
		return fmt.Errorf("reading symbols: %w; link without -s", err)
	}
	addr, found := uint64(0), false
	for _, s := range syms {
		if strings.TrimSuffix(s.Name, ".abi0") == symbol {
			addr, found = s.Value, true
		}
	}
	if !found {
		return fmt.Errorf("has no symbol %s: the entry isn't linked in, or -entry names the wrong one", symbol)
	}
	if addr != f.Entry {
		return fmt.Errorf("is entered at %#x, %s is at %#x; link with -E %s", f.Entry, symbol, addr, symbol)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr < p.Vaddr+p.Filesz {
			img.entry = uint32(addr)
			return nil
		}
	}
	return fmt.Errorf("%s is at %#x, in no executable segment", symbol, addr)
}

// span is a range of file offsets, end exclusive.
type span struct{ begin, end uint64 }

// findSlack returns the unused bytes between the program headers and the first
// section's contents. The section headers, which the image goes without, may
// lie there; anything else that isn't zero is an error.
func findSlack(f *elf.File, raw []byte) (span, error) {
	s := span{ehdrSize + phdrSize*uint64(len(f.Progs)), uint64(len(raw))}
	for _, sec := range f.Sections {
		if sec.Type != elf.SHT_NULL && sec.Type != elf.SHT_NOBITS && sec.Size != 0 {
			s.end = min(s.end, sec.Offset)
		}
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_PHDR && p.Filesz != 0 && p.Off != 0 {
			s.end = min(s.end, p.Off)
		}
	}
	if s.end <= s.begin {
		return span{}, errors.New("has no room between its program headers and its first section")
	}
	shoff := binary.LittleEndian.Uint64(raw[ehdrShoff:])
	shend := shoff + uint64(binary.LittleEndian.Uint16(raw[ehdrShentsz:]))*uint64(binary.LittleEndian.Uint16(raw[ehdrShnum:]))
	for i := s.begin; i < s.end; i++ {
		if raw[i] != 0 && (i < shoff || i >= shend) {
			return span{}, fmt.Errorf("byte %#x at offset %#x is in no section: the linker's layout has changed", raw[i], i)
		}
	}
	return s, nil
}

// write fills img.bytes: the loaded part of raw with both descriptions in slack.
func (img *image) write(f *elf.File, raw []byte, slack span) error {
	size, spare := uint64(0), -1
	for i, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			size = max(size, p.Off+p.Filesz)
		}
		if p.Type == elf.PT_GNU_STACK { // describes a process; a kernel has no use for it
			spare = i
		}
	}
	if spare < 0 {
		return errors.New("has no PT_GNU_STACK header to give to the PVH note: the linker's layout has changed")
	}

	note, header := pvhNote(img.entry), multiboot2Header(img.entry)
	noteOff := alignUp(slack.begin, noteAlign)
	headerOff := alignUp(noteOff+uint64(len(note)), multiboot2Align)
	end := headerOff + uint64(len(header))
	if end > earlyStack-stackBytes || slack.end < earlyStack {
		return fmt.Errorf("boot headers end at offset %#x and the first section begins at %#x: the entry's stack, %#x-%#x, must lie between them",
			end, slack.end, earlyStack-stackBytes, earlyStack)
	}

	b := bytes.Clone(raw[:size])
	clear(b[slack.begin:slack.end])
	copy(b[noteOff:], note)
	copy(b[headerOff:], header)

	le := binary.LittleEndian
	for i, p := range f.Progs {
		h := b[ehdrSize+phdrSize*i:][:phdrSize]
		le.PutUint64(h[phdrPaddr:], p.Vaddr)
		if p.Type == elf.PT_LOAD && p.Vaddr+p.Memsz > img.high { // see trimTail
			le.PutUint64(h[phdrMemsz:], img.high-p.Vaddr)
		}
		if i == spare {
			le.PutUint32(h[phdrType:], uint32(elf.PT_NOTE))
			le.PutUint32(h[phdrFlags:], uint32(elf.PF_R))
			le.PutUint64(h[phdrOffset:], noteOff)
			le.PutUint64(h[phdrVaddr:], img.low+noteOff)
			le.PutUint64(h[phdrPaddr:], img.low+noteOff)
			le.PutUint64(h[phdrFilesz:], uint64(len(note)))
			le.PutUint64(h[phdrMemsz:], uint64(len(note)))
			le.PutUint64(h[phdrAlign:], noteAlign)
		}
	}
	le.PutUint64(b[ehdrShoff:], 0)
	le.PutUint16(b[ehdrShnum:], 0)
	le.PutUint16(b[ehdrShstrndx:], 0)
	img.bytes = b
	return nil
}

func alignUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// buildID returns the ID that the Go tool gave the program.
func buildID(f *elf.File) string {
	s := f.Section(".note.go.buildid")
	if s == nil {
		return "none"
	}
	data, err := s.Data()
	const header = 16 // three words and "Go\0\0"
	if err != nil || len(data) < header {
		return "none"
	}
	n := binary.LittleEndian.Uint32(data[4:])
	return string(data[header:][:min(uint64(n), uint64(len(data)-header))])
}
