package core

import (
	"encoding/binary"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// The bytes of the trampoline are what their comments say, and the words that are moved with it
// are its addresses.
func TestTrampolineIsWhatItSays(t *testing.T) {
	page := make([]byte, 0x200)
	copy(page, trampolineCode16[:])
	copy(page[trampoline32:], trampolineCode32[:])
	copy(page[trampoline64:], trampolineCode64[:])
	for _, at := range trampolineFixups {
		if v := binary.LittleEndian.Uint32(page[at:]); v < trampolineBase || v >= trampolineBase+0x200 {
			t.Errorf("the word at %#x is %#x: no address in the trampoline", at, v)
		}
	}
	for _, c := range []struct {
		name string
		code []byte
		mode int
		want []string
	}{
		{"16-bit", trampolineCode16[:], 16, []string{"cli", "cld", "mov ax, cs", "mov ds, ax", "lgdt ptr [0x120]",
			"mov eax, cr0", "or al, 0x1", "mov cr0, eax", "jmp far 0x8040, 0x8"}},
		{"32-bit", trampolineCode32[:], 32, []string{"mov ax, 0x10", "mov ds, ax", "mov ss, ax", "mov es, ax", "mov eax, cr4",
			"or eax, 0x620", "mov cr4, eax", "mov eax, dword ptr [0x8128]", "mov cr3, eax", "mov ecx, 0xc0000080", "rdmsr",
			"or eax, 0x901", "wrmsr", "mov eax, cr0", "and eax, 0x9ffffff3", "or eax, 0x80010023", "mov cr0, eax",
			"jmp far 0x80a0, 0x18"}},
		{"64-bit", trampolineCode64[:], 64, []string{"mov rdi, qword ptr [0x8138]", "mov rax, qword ptr [0x8130]", "jmp rax"}},
	} {
		code := c.code
		for i, want := range c.want {
			inst, err := x86asm.Decode(code, c.mode)
			if err != nil {
				t.Fatalf("%s: instruction %d (%x): %v", c.name, i, code, err)
			}
			if got := x86asm.IntelSyntax(inst, 0, nil); got != want {
				t.Errorf("%s: instruction %d is %q, want %q", c.name, i, got, want)
			}
			code = code[inst.Len:]
		}
		if len(code) != 0 {
			t.Errorf("%s: %d bytes more", c.name, len(code))
		}
	}
}
