package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Where things are in memory, physical addresses. It is one image, loaded at base.
const (
	base       = 0x100000
	entryMB    = base + 0x20 // multiboot
	entryPVH   = base + 0x60
	entryCode  = base + 0xA0
	entryLong  = base + 0x120
	gdt        = base + 0x400
	gdtr       = base + 0x440
	idtr       = base + 0x450
	idt        = base + 0x1000
	stubs      = base + 0x2000
	pml4       = base + 0x3000
	pdpt       = base + 0x4000
	pds        = base + 0x5000 // four, for 4 GiB
	windowPD   = base + 0x9000 // maps 1 GiB at window as a routine likes
	table      = base + 0xA000 // of routines
	routines   = base + 0xB000
	imageLimit = base + 0x10000
	vars       = imageLimit
	stackTop   = base + 0x20000 // and the end of all that the kernel uses

	window = 1 << 36 // virtual address of windowPD's first page
)

// Offsets of variables.
const (
	varFaults   = 0
	varIRQs     = 8
	varIRQLimit = 16 // after so many, the handler masks what it can
	varCmdline  = 24 // address
	varProtocol = 32 // protocolMultiboot or protocolPVH
	varNext     = 40 // address of the command line's next letter
	varLetter   = 48
	varCopy     = 128 // of the command line, as far as it matters
	varCopySize = 64

	protocolMultiboot = 1
	protocolPVH       = 2
)

// Selectors of the kernel's own GDT.
const (
	selCode = 8
	selData = 16
)

var le = binary.LittleEndian

// image returns the memory from base on.
func image() ([]byte, error) {
	m := make(memory, imageLimit-base)
	m.put(entryMB, code32(0x3D, uint32(0x2BADB002), 0x75, byte(0x1C), // cmp eax, magic; jne
		0x8B, 0x4B, 0x10, //                                           mov ecx, [ebx+16]: cmdline
		0xBA, uint32(protocolMultiboot), //                            mov edx, protocolMultiboot
		0xBF, uint32(entryCode), 0xFF, 0xE7)) //                       mov edi, entryCode; jmp edi
	m.put(entryMB+0x23, halt)
	m.put(entryPVH, code32(0x81, 0x3B, uint32(0x336EC578), 0x75, byte(0x1B), // cmp dword [ebx], magic; jne
		0x8B, 0x4B, 0x18, //                                           mov ecx, [ebx+24]: cmdline_paddr
		0xBA, uint32(protocolPVH),
		0xBF, uint32(entryCode), 0xFF, 0xE7))
	m.put(entryPVH+0x23, halt)
	m.put(entryCode, code32(
		0xBC, uint32(stackTop), //                mov esp, stackTop
		0x89, 0x0D, uint32(vars+varCmdline), //   mov [varCmdline], ecx
		0x89, 0x15, uint32(vars+varProtocol), //  mov [varProtocol], edx
		0x0F, 0x01, 0x15, uint32(gdtr), //        lgdt [gdtr]
		0xB8, uint32(pml4), 0x0F, 0x22, 0xD8, //  mov eax, pml4; mov cr3, eax
		0x0F, 0x20, 0xE0, //                      mov eax, cr4
		0x0D, uint32(1<<5|1<<9|1<<10), //         or eax, PAE|OSFXSR|OSXMMEXCPT
		0x0F, 0x22, 0xE0, //                      mov cr4, eax
		0xB9, uint32(0xC0000080), 0x0F, 0x32, //  mov ecx, EFER; rdmsr
		0x0D, uint32(1<<8), 0x0F, 0x30, //        or eax, LME; wrmsr
		0x0F, 0x20, 0xC0, //                      mov eax, cr0
		0x0D, uint32(1<<31), //                   or eax, PG
		0x0F, 0x22, 0xC0, //                      mov cr0, eax
		0xEA, uint32(entryLong), selCode, 0x00)) //  jmp far
	m.put(entryLong, code32(
		0xB8, uint32(selData), 0x8E, 0xD8, 0x8E, 0xC0, // mov eax, selData; mov ds, eax; mov es, eax
		0x8E, 0xD0, 0x8E, 0xE0, 0x8E, 0xE8, //            mov ss, eax; mov fs, eax; mov gs, eax
		0xBC, uint32(stackTop), //                        mov esp, stackTop
		0x0F, 0x01, 0x1C, 0x25, uint32(idtr), //          lidt [idtr]
		0x41, 0xBD, uint32(vars), //                      mov r13d, vars
		0x41, 0xBE, uint32(table), //                     mov r14d, table
		0x45, 0x31, 0xFF, //                              xor r15d, r15d
		0x41, 0xFF, 0x26)) //                             jmp [r14]: slot 0

	m.quad(gdt+selCode, 0x00AF9A000000FFFF) // 64-bit code (SDM 3A 3.4.5)
	m.quad(gdt+selData, 0x00CF92000000FFFF)
	m.put(gdtr, code32(byte(0x17), 0x00, uint32(gdt), uint32(0)))
	m.put(idtr, code32(byte(0xFF), 0x0F, uint32(idt), uint32(0)))

	const present, writable, large = 1, 2, 128
	m.quad(pml4, pdpt|present|writable)
	for i := uint64(0); i < 4; i++ {
		m.quad(pdpt+8*i, pds+0x1000*i|present|writable)
	}
	m.quad(pdpt+8*(window>>30), windowPD|present|writable)
	for i := uint64(0); i < 4*512; i++ {
		m.quad(pds+8*i, i<<21|present|writable|large)
	}
	return m, m.routines()
}

// memory is the image, by address.
type memory []byte

func (m memory) put(addr uint64, b []byte) {
	copy(m[addr-base:addr-base+uint64(len(b))], b)
}

func (m memory) quad(addr, v uint64) { le.PutUint64(m[addr-base:], v) }

// routines puts the routines, their table and the interrupt table in place.
func (m memory) routines() error {
	at := uint64(routines)
	for _, r := range list {
		code, err := r.code()
		if err != nil {
			return err
		}
		if at+uint64(len(code)) > imageLimit {
			return fmt.Errorf("hostile: routine %q ends beyond the image", r.slot)
		}
		m.put(at, code)
		m.quad(table+8*uint64(r.slot), at)
		at = (at + uint64(len(code)) + 15) &^ 15
	}
	handler := le.Uint64(m[table-base+8*slotHandler:])
	for v := uint64(0); v < 256; v++ {
		stub := stubs + 16*v
		push := []byte{0x6A, 0} // in place of an error code
		if hasErrorCode[v] {
			push = []byte{0x66, 0x90}
		}
		m.put(stub, push)
		m.put(stub+2, code32(0x68, uint32(v), 0xE9, uint32(handler-(stub+12))))
		// A 64-bit interrupt gate (SDM 3A 6.14.1).
		m.quad(idt+16*v, stub&0xFFFF|selCode<<16|0x8E00<<32|stub>>16&0xFFFF<<48)
		m.quad(idt+16*v+8, stub>>32)
	}
	return nil
}

// hasErrorCode are the exceptions that push one (SDM 3A table 6-1).
var hasErrorCode = [256]bool{8: true, 10: true, 11: true, 12: true, 13: true, 14: true, 17: true, 21: true, 29: true, 30: true}

var halt = []byte{0xFA, 0xF4, 0xEB, 0xFC} // cli; hlt; jmp back

// code32 joins bytes (int and byte) and little-endian words (uint32).
func code32(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case byte:
			b = append(b, p)
		case uint32:
			b = le.AppendUint32(b, p)
		}
	}
	return b
}

const magic, flags = 0x1BADB002, 1 << 16 // with address fields

// Multiboot returns the kernel as a flat file with a multiboot 1 header.
func Multiboot() ([]byte, error) {
	m, err := image()
	if err != nil {
		return nil, err
	}
	sum := uint32(magic + flags)
	copy(m, code32(uint32(magic), uint32(flags), -sum, uint32(base), uint32(base), uint32(imageLimit), uint32(stackTop), uint32(entryMB)))
	return m, nil
}

// MultibootELF returns the kernel as a 32-bit ELF file with a multiboot 1 header without addresses.
func MultibootELF() ([]byte, error) {
	m, err := image()
	if err != nil {
		return nil, err
	}
	sum := uint32(magic)
	copy(m, code32(uint32(magic), uint32(0), -sum))
	return elf32(m, entryMB, nil), nil
}

// PVH returns the kernel as a 32-bit ELF file with a PVH note.
func PVH() ([]byte, error) {
	m, err := image()
	if err != nil {
		return nil, err
	}
	note := code32(uint32(4), uint32(4), uint32(18)) // XEN_ELFNOTE_PHYS32_ENTRY
	note = append(append(note, "Xen\x00"...), code32(uint32(entryPVH))...)
	return elf32(m, entryPVH, note), nil
}

// elf32 wraps an image, loaded at base, and a note into an ELF file.
func elf32(m []byte, entry uint32, note []byte) []byte {
	const ehdr, phdr, room = 52, 32, 0x100 // the image begins at room
	var b bytes.Buffer
	half := func(v ...uint16) { binary.Write(&b, le, v) }
	word := func(v ...uint32) { binary.Write(&b, le, v) }
	b.WriteString("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	half(2, 3) // ET_EXEC, EM_386
	word(1, entry, ehdr, 0, 0)
	n := uint16(1)
	if note != nil {
		n = 2
	}
	half(ehdr, phdr, n, 0, 0, 0)
	word(1, room, base, base, uint32(len(m)), stackTop-base, 7, 16) // PT_LOAD
	if note != nil {
		word(4, ehdr+2*phdr, 0, 0, uint32(len(note)), uint32(len(note)), 4, 4) // PT_NOTE
		b.Write(note)
	}
	b.Write(make([]byte, room-b.Len()))
	b.Write(m)
	return b.Bytes()
}
