package core

import (
	"encoding/binary"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

func words(code []byte) (lo, hi uint64) {
	var b [16]byte
	copy(b[:], code)
	return binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
}

func TestDecodeMOV(t *testing.T) {
	const load, store, imm = 1, 2, 3
	for _, c := range []struct {
		name string
		code []byte
		kind int
		reg  uint32
		imm  uint32
	}{
		{"mov eax, [rdi-0xa01000]", []byte{0x8B, 0x87, 0x00, 0xF0, 0x5F, 0xFF}, load, 0, 0},
		{"mov [rdi-0xa01000], esi", []byte{0x89, 0xB7, 0x00, 0xF0, 0x5F, 0xFF}, store, 6, 0},
		{"mov dword [0xffffffffff5fb0b0], 0", []byte{0xC7, 0x04, 0x25, 0xB0, 0xB0, 0x5F, 0xFF, 0, 0, 0, 0}, imm, 0, 0},
		{"mov dword [r12+0x10], 0x12345678", []byte{0x41, 0xC7, 0x44, 0x24, 0x10, 0x78, 0x56, 0x34, 0x12}, imm, 0, 0x12345678},
		{"mov dword [r8+r9*4+0x11223344], 0x99887766", []byte{0x43, 0xC7, 0x84, 0x88, 0x44, 0x33, 0x22, 0x11, 0x66, 0x77, 0x88, 0x99}, imm, 0, 0x99887766},
		{"mov dword [rax], 0xA1B2C3D4", []byte{0xC7, 0x00, 0xD4, 0xC3, 0xB2, 0xA1}, imm, 0, 0xA1B2C3D4},
		{"mov r9d, [rip+1]", []byte{0x44, 0x8B, 0x0D, 1, 0, 0, 0}, load, 9, 0},
		{"mov [rbp+8], r15d", []byte{0x44, 0x89, 0x7D, 0x08}, store, 15, 0},
		{"mov [rax+rbp], ecx", []byte{0x89, 0x0C, 0x28}, store, 1, 0},
		{"mov rax, [rdi]", []byte{0x48, 0x8B, 0x07}, 0, 0, 0},
		{"mov eax, edi", []byte{0x89, 0xF8}, 0, 0, 0},
		{"mov ax, [rdi]", []byte{0x66, 0x8B, 0x07}, 0, 0, 0},
		{"mov eax, fs:[rdi]", []byte{0x64, 0x8B, 0x07}, 0, 0, 0},
		{"C7 /1", []byte{0xC7, 0x08, 0, 0, 0, 0}, 0, 0, 0},
		{"xchg [rdi], eax", []byte{0x87, 0x07}, 0, 0, 0},
		{"two REX prefixes", []byte{0x41, 0x41, 0x8B, 0x07}, 0, 0, 0},
	} {
		m, imm32 := decodeMOV(words(c.code))
		if c.kind == 0 {
			if m != 0 {
				t.Errorf("%s: decoded as %#x", c.name, m)
			}
			continue
		}
		if m.length() != uint32(len(c.code)) || m.store() != (c.kind != load) || m.immediate() != (c.kind == imm) {
			t.Errorf("%s: length %d, store %v, immediate %v", c.name, m.length(), m.store(), m.immediate())
		}
		if c.kind == imm && imm32 != c.imm || c.kind != imm && m.register() != c.reg {
			t.Errorf("%s: register %d, immediate %#x", c.name, m.register(), imm32)
		}
	}
}

// What decodeMOV takes must be what a whole decoder makes of it.
func FuzzDecodeMOV(f *testing.F) {
	f.Add([]byte{0x8B, 0x87, 0x00, 0xF0, 0x5F, 0xFF})
	f.Add([]byte{0x43, 0xC7, 0x84, 0x88, 0x44, 0x33, 0x22, 0x11, 0x66, 0x77, 0x88, 0x99})
	f.Add([]byte{0x89, 0x0C, 0x25, 1, 2, 3, 4})
	f.Add([]byte{0x44, 0x89, 0x3C, 0x05, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 16 {
			return
		}
		lo, hi := words(code)
		m, imm := decodeMOV(lo, hi)
		if m == 0 {
			return
		}
		var b [16]byte
		copy(b[:], code)
		in, err := x86asm.Decode(b[:], 64)
		if err != nil || in.Op != x86asm.MOV || in.Len != int(m.length()) || in.MemBytes != 4 {
			t.Fatalf("% x: length %d; is %v, length %d, %d bytes (%v)", b, m.length(), in, in.Len, in.MemBytes, err)
		}
		mem, other := in.Args[0], in.Args[1]
		if !m.store() {
			mem, other = other, mem
		}
		if _, ok := mem.(x86asm.Mem); !ok {
			t.Fatalf("% x: store %v; is %v", b, m.store(), in)
		}
		if m.immediate() {
			if v, ok := other.(x86asm.Imm); !ok || uint32(v) != imm {
				t.Fatalf("% x: immediate %#x; is %v", b, imm, in)
			}
		} else if r, ok := other.(x86asm.Reg); !ok || uint32(r-x86asm.EAX) != m.register() {
			t.Fatalf("% x: register %d; is %v", b, m.register(), in)
		}
	})
}

func TestGuestWordsEndWithTheMemory(t *testing.T) {
	ram := make([]byte, 4096)
	for i := range ram {
		ram[i] = byte(i)
	}
	m := &machine{low: 2048, high: 2048, windowLow: addrOf(&ram[0]), windowHigh: addrOf(&ram[2048])}
	for _, c := range []struct {
		gpa uint64
		ok  bool
	}{
		{0, true}, {2040, true}, {2041, false}, {2048, false}, {highStart - 4, false}, {highStart, true},
		{highStart + 2040, true}, {highStart + 2041, false}, {^uint64(0), false}, {^uint64(0) - 7, false},
	} {
		if _, ok := m.word(c.gpa); ok != c.ok {
			t.Errorf("%#x: %v, want %v", c.gpa, ok, c.ok)
		}
	}
}
