package loader

import (
	"errors"
	"fmt"
)

// Numbers of the ELF specification (System V gABI, chapters 4 and 5).
const (
	elfClass32 = 1
	elfClass64 = 2
	elfLittle  = 1 // ELFDATA2LSB

	etExec = 2
	etDyn  = 3

	em386   = 3
	emAMD64 = 62

	ptLoad = 1
	ptNote = 4

	maxProgramHeaders = 64 // kernels have up to ten
)

// An elfFile is what loading needs of an ELF file. Its bytes are checked to
// lie within the file; its addresses are not checked before they are claimed.
type elfFile struct {
	entry    uint64
	segments []elfSegment
	notes    [][]byte // contents of the PT_NOTE segments
}

// An elfSegment is a PT_LOAD segment that takes memory.
type elfSegment struct {
	index        int // of its program header
	vaddr, paddr uint64
	memSize      uint64 // bytes, not 0
	data         []byte // at most memSize; zeros follow
}

func isELF(b []byte) bool { return len(b) >= 4 && string(b[:4]) == "\x7fELF" }

// elfLayout is where the fields are that differ between the classes.
type elfLayout struct {
	word                                int // bytes of an address
	phoff, phentsize                    int // in the file header
	size, phSize                        int // of the file header and of a program header
	offset, vaddr, paddr, filesz, memsz int // in a program header
}

var (
	elf32 = elfLayout{word: 4, phoff: 28, phentsize: 42, size: 52, phSize: 32,
		offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20}
	elf64 = elfLayout{word: 8, phoff: 32, phentsize: 54, size: 64, phSize: 56,
		offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40}
)

// address reads an address-sized field at off, which is within b.
func (l *elfLayout) address(b []byte, off int) uint64 {
	if l.word == 4 {
		return uint64(le.Uint32(b[off:]))
	}
	return le.Uint64(b[off:])
}

// parseELF reads the headers of a file that isELF.
func parseELF(b []byte) (*elfFile, error) {
	if len(b) < elf32.size {
		return nil, fmt.Errorf("truncated: %d bytes end within the file header", len(b))
	}
	var l *elfLayout
	switch b[4] {
	case elfClass32:
		l = &elf32
	case elfClass64:
		l = &elf64
	default:
		return nil, fmt.Errorf("class %d is neither 1 (32-bit) nor 2 (64-bit)", b[4])
	}
	if b[5] != elfLittle {
		return nil, fmt.Errorf("data encoding %d is not little-endian", b[5])
	}
	if len(b) < l.size {
		return nil, fmt.Errorf("truncated: %d bytes end within the file header", len(b))
	}
	if t := le.Uint16(b[16:]); t != etExec && t != etDyn {
		return nil, fmt.Errorf("type %d is not an executable", t)
	}
	if m := le.Uint16(b[18:]); m != em386 && m != emAMD64 {
		return nil, fmt.Errorf("machine %d is not x86", m)
	}
	phoff := l.address(b, l.phoff)
	phentsize, phnum := int(le.Uint16(b[l.phentsize:])), int(le.Uint16(b[l.phentsize+2:]))
	switch {
	case phnum == 0:
		return nil, errors.New("no program headers: nothing to load")
	case phnum > maxProgramHeaders:
		return nil, fmt.Errorf("%d program headers, at most %d are possible", phnum, maxProgramHeaders)
	case phentsize != l.phSize:
		return nil, fmt.Errorf("program headers of %d bytes, not %d", phentsize, l.phSize)
	}
	table, ok := within(b, phoff, uint64(phnum*phentsize))
	if !ok {
		return nil, fmt.Errorf("truncated: %d program headers at %#x are not in a file of %d bytes", phnum, phoff, len(b))
	}
	f := &elfFile{entry: l.address(b, 24)}
	for i := range phnum {
		if err := f.programHeader(l, b, table[i*phentsize:], i); err != nil {
			return nil, fmt.Errorf("program header %d: %w", i, err)
		}
	}
	if len(f.segments) == 0 {
		return nil, errors.New("no PT_LOAD segment: nothing to load")
	}
	return f, nil
}

// programHeader adds the segment that the program header ph describes.
func (f *elfFile) programHeader(l *elfLayout, b, ph []byte, i int) error {
	kind := le.Uint32(ph)
	if kind != ptLoad && kind != ptNote {
		return nil
	}
	offset, size := l.address(ph, l.offset), l.address(ph, l.filesz)
	data, ok := within(b, offset, size)
	if !ok {
		return fmt.Errorf("truncated: %#x bytes at %#x are not in a file of %d bytes", size, offset, len(b))
	}
	if kind == ptNote {
		f.notes = append(f.notes, data)
		return nil
	}
	s := elfSegment{i, l.address(ph, l.vaddr), l.address(ph, l.paddr), l.address(ph, l.memsz), data}
	if s.memSize < size {
		return fmt.Errorf("%#x bytes in the file are more than its %#x in memory", size, s.memSize)
	}
	if s.memSize > 0 {
		f.segments = append(f.segments, s)
	}
	return nil
}

// within returns the size bytes of b at off, if b has them.
func within(b []byte, off, size uint64) ([]byte, bool) {
	n := uint64(len(b))
	if off > n || size > n-off {
		return nil, false
	}
	return b[off : off+size], true
}

// inSegment reports whether the physical address addr is loaded from f.
func (f *elfFile) inSegment(addr uint64) bool {
	for _, s := range f.segments {
		if addr >= s.paddr && addr-s.paddr < s.memSize {
			return true
		}
	}
	return false
}

// physicalEntry returns the physical address of the ELF entry point. A kernel
// linked to run elsewhere than it is loaded gives a virtual address there.
func (f *elfFile) physicalEntry() (uint64, error) {
	for _, s := range f.segments {
		if f.entry >= s.vaddr && f.entry-s.vaddr < s.memSize {
			return s.paddr + (f.entry - s.vaddr), nil
		}
	}
	if !f.inSegment(f.entry) {
		return 0, fmt.Errorf("entry point %#x is in no loaded segment", f.entry)
	}
	return f.entry, nil
}

// loadELF puts the segments of f at their physical addresses and returns the
// address after the last.
func (j *job) loadELF(f *elfFile) (end uint64, err error) {
	for _, s := range f.segments {
		if err := j.space.claim(s.paddr, s.memSize, fmt.Sprintf("segment %d", s.index)); err != nil {
			return 0, err
		}
		end = max(end, s.paddr+s.memSize)
	}
	for _, s := range f.segments {
		size := uint64(len(s.data))
		if err := j.m.WriteAt(s.data, s.paddr); err != nil {
			return 0, err
		}
		if err := j.m.Zero(s.paddr+size, s.memSize-size); err != nil {
			return 0, err
		}
	}
	return end, nil
}
