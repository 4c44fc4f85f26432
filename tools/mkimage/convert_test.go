package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const entrySymbol = "keel/boot.entry32"

// buildKernel links testdata/kernel with the flags that the Makefile uses and
// more, and returns the program's bytes.
func buildKernel(t *testing.T, ldflags string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "kernel.raw")
	cmd := exec.Command("go", "build", "-C", "testdata/kernel", "-trimpath", "-ldflags="+ldflags, "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const goodFlags = "-E " + entrySymbol + " -T 0x1001000"

func TestImageKeepsTheProgramAndDescribesItsEntry(t *testing.T) {
	raw := buildKernel(t, goodFlags)
	img, err := convert(raw, entrySymbol)
	if err != nil {
		t.Fatal(err)
	}
	before, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	after, err := elf.NewFile(bytes.NewReader(img.bytes))
	if err != nil {
		t.Fatalf("the image is no ELF file: %v", err)
	}
	if uint64(img.entry) != before.Entry || after.Entry != before.Entry {
		t.Errorf("entry %#x, header %#x, want %#x", img.entry, after.Entry, before.Entry)
	}
	if len(after.Sections) != 0 || len(img.bytes) >= len(raw) {
		t.Errorf("image has %d sections and %d bytes of %d: not stripped", len(after.Sections), len(img.bytes), len(raw))
	}
	for i, p := range after.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		was := before.Progs[i]
		if p.Vaddr != was.Vaddr || p.Filesz != was.Filesz || p.Memsz > was.Memsz || p.Flags != was.Flags || p.Paddr != p.Vaddr {
			t.Errorf("segment %d is %+v, was %+v", i, p.ProgHeader, was.ProgHeader)
		}
		if p.Vaddr >= img.high || p.Vaddr < img.low {
			t.Errorf("segment at %#x lies outside %#x-%#x", p.Vaddr, img.low, img.high)
		}
	}
	for _, s := range before.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS &&
			!bytes.Equal(raw[s.Offset:s.Offset+s.Size], img.bytes[s.Offset:s.Offset+s.Size]) {
			t.Errorf("section %s has changed", s.Name)
		}
	}
	if strings.Count(img.buildID, "/") != 3 {
		t.Errorf("build ID %q is not of the Go tool's form", img.buildID)
	}
}

// TestImageLeavesOutTheUpperHalfsLastVariables has the boot loader give memory to all variables but the
// large one of the upper half that comes last, and to that one as soon as the lower half's name is on it.
func TestImageLeavesOutTheUpperHalfsLastVariables(t *testing.T) {
	raw := buildKernel(t, goodFlags)
	last := func(b []byte) *elf.Prog {
		t.Helper()
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range slices.Backward(f.Progs) {
			if p.Type == elf.PT_LOAD {
				return p
			}
		}
		t.Fatal("no PT_LOAD")
		return nil
	}
	img, err := convert(raw, entrySymbol)
	if err != nil {
		t.Fatal(err)
	}
	was, is := last(raw), last(img.bytes)
	const tail = 1 << 20
	if is.Memsz > was.Memsz-tail+pageSize || is.Memsz < was.Memsz-tail-pageSize {
		t.Errorf("the last segment has %#x bytes of %#x, want %#x fewer", is.Memsz, was.Memsz, tail)
	}
	if img.high != is.Vaddr+is.Memsz || img.high%pageSize != 0 {
		t.Errorf("the image is said to end at %#x, its last segment does at %#x", img.high, is.Vaddr+is.Memsz)
	}
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if isResident(s.Name) && s.Size != 0 && s.Value+s.Size > img.high {
			t.Errorf("%s at %#x is left out", s.Name, s.Value)
		}
	}

	names := raw[f.Section(".strtab").Offset:]
	i := bytes.Index(names, []byte("\x00main.tail\x00"))
	if i < 0 {
		t.Fatal("the variable's name isn't in the string table")
	}
	copy(names[i+1:], "runtime.x")
	if img, err = convert(raw, entrySymbol); err != nil {
		t.Fatal(err)
	}
	if is = last(img.bytes); is.Memsz < was.Memsz {
		t.Errorf("the last segment has %#x bytes of %#x, although the last variable is the runtime's", is.Memsz, was.Memsz)
	}
}

func TestImageHasPVHNote(t *testing.T) {
	img, err := convert(buildKernel(t, goodFlags), entrySymbol)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(img.bytes))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		note := make([]byte, p.Filesz)
		if _, err := p.ReadAt(note, 0); err != nil {
			t.Fatal(err)
		}
		if string(note[12:16]) != "Xen\x00" {
			continue
		}
		le := binary.LittleEndian
		if le.Uint32(note) != 4 || le.Uint32(note[4:]) != 8 || le.Uint32(note[8:]) != 18 || len(note) != 24 || p.Align != 4 {
			t.Errorf("note % x, alignment %d", note, p.Align)
		}
		if got := le.Uint64(note[16:]); got != uint64(img.entry) {
			t.Errorf("note gives entry %#x, want %#x", got, img.entry)
		}
		if p.Paddr != img.low+p.Off {
			t.Errorf("note at %#x, want %#x", p.Paddr, img.low+p.Off)
		}
		return
	}
	t.Error("no PVH note")
}

// TestImageKeepsTheNoteOfTamaGosLinker gives a program the section that TamaGo's linker writes, in place of the Go tool's
// build ID. The same note in no such section is that of an image, which isn't converted again.
func TestImageKeepsTheNoteOfTamaGosLinker(t *testing.T) {
	raw := buildKernel(t, goodFlags)
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	own := pvhNote(uint32(f.Entry))
	id := f.Section(".note.go.buildid")
	copy(raw[id.Offset:id.Offset+id.Size], own)
	if _, err := convert(raw, entrySymbol); err == nil || !strings.Contains(err.Error(), "already has a PVH note") {
		t.Errorf("a PVH note in a section of the Go tool's: %v", err)
	}
	names := raw[f.Section(".shstrtab").Offset:]
	copy(names[bytes.Index(names, []byte(".note.go.buildid\x00")):], ".note.go.pvh\x00")
	img, err := convert(raw, entrySymbol)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(img.bytes, own); n != 2 {
		t.Errorf("the image has %d PVH notes for its entry, want the linker's and its own", n)
	}
}

func TestImageHasMultiboot2Header(t *testing.T) {
	img, err := convert(buildKernel(t, goodFlags), entrySymbol)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	at := -1
	for i := 0; i < 32768; i += 8 {
		if le.Uint32(img.bytes[i:]) == 0xE85250D6 {
			at = i
			break
		}
	}
	if at < 0 {
		t.Fatal("no header in the first 32768 bytes")
	}
	h := img.bytes[at:]
	length := le.Uint32(h[8:])
	if arch := le.Uint32(h[4:]); arch != 0 {
		t.Errorf("architecture %d, want 0 (i386)", arch)
	}
	if sum := le.Uint32(h) + le.Uint32(h[4:]) + length + le.Uint32(h[12:]); sum != 0 {
		t.Errorf("the four words sum to %#x, want 0", sum)
	}
	var kinds []uint16
	for off := uint32(16); off < length; {
		kind, size := le.Uint16(h[off:]), le.Uint32(h[off+4:])
		kinds = append(kinds, kind)
		if kind == 3 && le.Uint32(h[off+8:]) != img.entry {
			t.Errorf("entry tag gives %#x, want %#x", le.Uint32(h[off+8:]), img.entry)
		}
		if size < 8 {
			t.Fatalf("tag at %d has size %d", off, size)
		}
		off += (size + 7) &^ 7
	}
	if want := []uint16{1, 1, 3, 5, 6, 0}; !slices.Equal(kinds, want) {
		t.Errorf("tags %v, want %v", kinds, want)
	}
}

func TestConvertAcceptsTheNameWithItsABI(t *testing.T) {
	raw := buildKernel(t, goodFlags)
	// The linker writes the suffix when a Go function of the name exists too.
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	names := raw[f.Section(".strtab").Offset:]
	i := bytes.Index(names, []byte("\x00"+entrySymbol+"\x00"))
	if i < 0 {
		t.Fatal("the symbol's name isn't in the string table")
	}
	copy(names[i+1:], "keel/boot.en.abi0")
	if _, err := convert(raw, "keel/boot.en"); err != nil {
		t.Error(err)
	}
}

func TestConvertRefuses(t *testing.T) {
	good := buildKernel(t, goodFlags)
	img, err := convert(good, entrySymbol)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	// header returns good with the first program header of a type changed.
	header := func(kind elf.ProgType, field int, value uint64) []byte {
		b := bytes.Clone(good)
		for h := b[ehdrSize:]; ; h = h[phdrSize:] {
			if elf.ProgType(le.Uint32(h)) == kind {
				le.PutUint64(h[field:], value)
				return b
			}
		}
	}
	kind := func(from, to elf.ProgType) []byte {
		return header(from, phdrType, uint64(to)|uint64(elf.PF_R)<<32)
	}
	withMultiboot1 := bytes.Clone(good)
	var multiboot1 uint32 = multiboot1Magic
	copy(withMultiboot1[0x1100:], le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, multiboot1), 0), -multiboot1))
	cutOff := bytes.Clone(good[:len(img.bytes)-1])
	clear(cutOff[ehdrShoff:][:8])
	clear(cutOff[ehdrShentsz:ehdrSize])
	withStray := bytes.Clone(good)
	withStray[0xF00] = 1

	for _, c := range []struct {
		name, want string
		raw        []byte
		symbol     string
	}{
		{"text", "not an ELF file", []byte("#!/bin/sh\n"), entrySymbol},
		{"empty file", "not an ELF file", nil, entrySymbol},
		{"cut off", "don't lie in the file", cutOff, entrySymbol},
		{"missing symbol", "no symbol keel/boot.nothing", good, "keel/boot.nothing"},
		{"stripped", "without -s", buildKernel(t, "-s "+goodFlags), entrySymbol},
		{"not the entry", "link with -E runtime.mallocgc", good, "runtime.mallocgc"},
		{"already processed", "already has a PVH note", img.bytes, entrySymbol},
		{"too high", "above 4 GiB", buildKernel(t, "-E "+entrySymbol+" -T 0x100001000"), entrySymbol},
		{"too low", "the entry relies on 0x1000000", buildKernel(t, "-E "+entrySymbol+" -T 0x11000"), entrySymbol},
		{"address wraps", "above 4 GiB", header(elf.PT_LOAD, phdrMemsz, ^uint64(0)), entrySymbol},
		{"offset wraps", "don't lie in the file", header(elf.PT_LOAD, phdrOffset, 1<<63-0x1000), entrySymbol},
		{"overlap", "begins before the end", header(elf.PT_LOAD, phdrMemsz, 1<<24), entrySymbol},
		{"dynamic", "link it statically", kind(elf.PT_GNU_STACK, elf.PT_INTERP), entrySymbol},
		{"no spare header", "PT_GNU_STACK", kind(elf.PT_GNU_STACK, elf.PT_NULL), entrySymbol},
		{"multiboot1", "multiboot1 header", withMultiboot1, entrySymbol},
		{"layout changed", "in no section", withStray, entrySymbol},
	} {
		_, err := convert(c.raw, c.symbol)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
	}
}

func TestWriteKeepsRoomForTheEntrysStack(t *testing.T) {
	f := &elf.File{}
	raw := make([]byte, 4096)
	for range 60 { // their headers leave no room in a page
		f.Progs = append(f.Progs, &elf.Prog{ProgHeader: elf.ProgHeader{Type: elf.PT_LOAD, Filesz: 1}})
	}
	f.Progs = append(f.Progs, &elf.Prog{ProgHeader: elf.ProgHeader{Type: elf.PT_GNU_STACK}})
	img := &image{entry: 1 << 24}
	for _, slack := range []span{{64 + 61*56, 4000}, {64 + 6*56, 0xD80}} {
		if err := img.write(f, raw, slack); err == nil || !strings.Contains(err.Error(), "the entry's stack") {
			t.Errorf("slack %#x: error %v, want one about room", slack, err)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(elf.ELFMAG))
	f.Add(append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\x01\x00\x00\x00"), make([]byte, 200)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if img, err := convert(raw, entrySymbol); err == nil && len(img.bytes) > len(raw) {
			t.Error("image is longer than the program")
		}
	})
}
