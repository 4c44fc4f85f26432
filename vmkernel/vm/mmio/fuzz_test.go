package mmio

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// countingBus answers with a hash of the address and checks what it is asked.
type countingBus struct {
	t        *testing.T
	accesses int
}

func (b *countingBus) check(size int) {
	b.accesses++
	if size < 1 || size > 8 {
		b.t.Fatalf("access of %d bytes", size)
	}
}

func (b *countingBus) Read(addr uint64, size int) uint64 {
	b.check(size)
	return addr * 0x9e3779b97f4a7c15
}

func (b *countingBus) Write(addr uint64, size int, v uint64) {
	b.check(size)
	if v&^ones(uint8(size)) != 0 {
		b.t.Fatalf("write of %#x in %d bytes", v, size)
	}
}

// FuzzHandle executes code with registers and control registers made of seed,
// at an address that the exit gives or not. tables, if there are any, are the
// guest's page tables.
func FuzzHandle(f *testing.F) {
	for _, tc := range instructions {
		f.Add(unhex(f, tc.code), uint8(tc.mode/16), uint64(deviceAt), []byte{})
	}
	f.Add(unhex(f, "0fae00"), uint8(4), uint64(0), []byte{})
	f.Add(unhex(f, "c5fe6f06"), uint8(4), uint64(1), []byte{})
	f.Add(unhex(f, "62f17c48100600"), uint8(4), uint64(2), []byte{0x07, 0x10, 0, 0, 0, 0, 0, 0})
	f.Add(unhex(f, "f3a4"), uint8(2), uint64(0xffe), []byte{0x87, 0, 0, 0})
	f.Fuzz(func(t *testing.T, code []byte, how uint8, seed uint64, tables []byte) {
		mode := [4]Mode{Mode64, Mode16, Mode32, Mode64}[how&3]
		memory := make(ram, 0x4000)
		for at := 0; at < len(memory) && len(tables) > 0; at += len(tables) {
			copy(memory[at:], tables)
		}
		copy(memory[codeAt:codeAt+MaxLen], code)
		c := &CPU{Mode: mode, RIP: codeAt, RFLAGS: seed, CPL: how >> 2 & 3, CR3: seed & 0x3fff}
		if mode == Mode64 {
			c.EFER = eferLMA | eferNXE
		}
		if len(tables) > 0 {
			c.CR0, c.CR4 = cr0PG|seed&cr0WP, seed>>20&(cr4PAE|cr4PSE|cr4SMAP)
		}
		for i := range c.GPR {
			c.GPR[i] = seed
		}
		for i := range c.Base {
			c.Base[i] = seed >> (8 * i) & 0xffff0
		}
		c.Base[CS] = 0

		bus := &countingBus{t: t}
		e := New(memory, bus)
		before := *c
		err := e.Handle(c, seed)
		var unsupported *UnsupportedError
		switch {
		case errors.As(err, &unsupported):
			_ = err.Error()
			fallthrough
		case err != nil:
			if *c != before || bus.accesses != 0 {
				t.Fatalf("%v, but CPU %x became %x after %d accesses", err, before, *c, bus.accesses)
			}
			return
		}
		if bus.accesses > 4 {
			t.Fatalf("%d accesses", bus.accesses)
		}
		if c.CR0 != before.CR0 || c.CR3 != before.CR3 || c.Base != before.Base || c.Mode != before.Mode || c.CPL != before.CPL {
			t.Fatalf("more changed than registers: %x became %x", before, *c)
		}
		if len(tables) > 0 {
			return
		}
		var bytes [MaxLen]byte
		copy(bytes[:], code)
		inst, err := x86asm.Decode(bytes[:], int(mode))
		if err != nil || c.RIP != codeAt && c.RIP != codeAt+uint64(inst.Len) {
			t.Fatalf("% x: RIP %#x; x86asm: %d bytes, %v", bytes, c.RIP, inst.Len, err)
		}
	})
}

// FuzzTranslate walks tables made of arbitrary bytes.
func FuzzTranslate(f *testing.F) {
	f.Add([]byte{0x07, 0x10, 0, 0, 0, 0, 0, 0}, uint64(0x7fff_1234), uint64(0x1000), uint8(0))
	f.Add([]byte{0x87, 0, 0, 0xff}, uint64(0xffff_ffff), uint64(0), uint8(0x1f))
	f.Fuzz(func(t *testing.T, tables []byte, linear, cr3 uint64, how uint8) {
		memory := make(ram, max(16, len(tables)))
		copy(memory, tables)
		c := &CPU{CR0: cr0PG | cr0WP, CR3: cr3, CPL: how & 3}
		if how&4 != 0 {
			c.CR4 |= cr4PAE
		}
		if how&8 != 0 {
			c.EFER |= eferLMA
		}
		if how&16 != 0 {
			c.CR4 |= cr4PSE
		}
		gpa, err := Translate(memory, c, linear, Access(how>>5%3))
		if err == nil && gpa>>52 != 0 {
			t.Fatalf("%#x translates to %#x", linear, gpa)
		}
		if err == nil && gpa&0xfff != linear&0xfff {
			t.Fatalf("%#x translates to %#x: another offset in the page", linear, gpa)
		}
	})
}

// TestEveryOpcodeIsExecutedOrNamed goes through all one- and two-byte opcodes
// with a ModR/M byte for [rsi] of each extension: none panics, and what is
// executed is as long as x86asm has it.
func TestEveryOpcodeIsExecutedOrNamed(t *testing.T) {
	executed := 0
	for _, mode := range []Mode{Mode16, Mode32, Mode64} {
		for opcode := range 1 << 16 {
			for _, prefix := range [][]byte{nil, {0x66}, {0xf3}, {0xf2}, {0xf0}, {0x48}, {0x67}} {
				if opcode>>8 != 0x0f && opcode&0xc7 != 0x06 {
					continue // one-byte opcode: second byte is the ModR/M
				}
				code := binary.BigEndian.AppendUint16(append([]byte(nil), prefix...), uint16(opcode))
				code = append(code, 0x06, 1, 2, 3, 4, 5, 6, 7, 8)
				op, err := Decode(code, mode)
				if err != nil {
					_ = err.Error()
					continue
				}
				executed++
				inst, err := x86asm.Decode(code, int(mode))
				if err != nil || inst.Len != int(op.Len) {
					t.Fatalf("% x: %d bytes; x86asm: %d, %v", code, op.Len, inst.Len, err)
				}
				if inst.MemBytes != int(op.Size) && !op.String && op.Do != Touch {
					t.Errorf("% x: operand of %d bytes; x86asm: %d", code, op.Size, inst.MemBytes)
				}
			}
		}
	}
	if executed < 1000 {
		t.Errorf("only %d encodings executed", executed)
	}
}
