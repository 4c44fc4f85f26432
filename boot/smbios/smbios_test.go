package smbios

import (
	"bytes"
	"testing"

	"keel/boot/physmem/memtest"
)

const (
	memory  = 1 << 20
	tableAt = 0x1_0003
)

// structures are a BIOS's, the system's and the end's.
func structures() []byte {
	return memtest.Bytes(
		uint8(0), uint8(6), uint16(0), uint8(1), uint8(2), "A BIOS\x00of it\x00\x00",
		uint8(4), uint8(5), uint16(9), uint8(0), "\x00\x00",
		uint8(1), uint8(8), uint16(1), uint8(1), uint8(3), uint8(0), uint8(4), "QEMU\x00x\x00Standard PC\x00 S\xFFN-1  \x00\x00",
		uint8(127), uint8(4), uint16(2), "\x00\x00",
	)
}

func sealed(b []byte, at int) []byte {
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	b[at] -= sum
	return b
}

func entry2(at uint32, length int) []byte {
	return sealed(memtest.Bytes("_SM_", uint8(0), uint8(31), make([]byte, 10), "_DMI_", uint8(0), uint16(length), at, make([]byte, 3)), 4)
}

func entry3(at uint64, length int) []byte {
	return sealed(memtest.Bytes("_SM3_", uint8(0), uint8(24), make([]byte, 5), uint32(length), at), 5)
}

func trimmed(b [MaxText]byte) string { return string(bytes.TrimRight(b[:], "\x00")) }

func TestSystemIsFound(t *testing.T) {
	for name, put := range map[string]func(*memtest.Image) (efi uint64){
		"BIOS, version 2": func(m *memtest.Image) uint64 { m.Put(0xF_5A20, entry2(tableAt, len(structures()))); return 0 },
		"BIOS, version 3": func(m *memtest.Image) uint64 { m.Put(0xF_FFE0, entry3(tableAt, len(structures()))); return 0 },
		"UEFI": func(m *memtest.Image) uint64 {
			m.Put(0x8003, entry2(0, 0))
			m.Put(0x9001, entry3(tableAt, len(structures())))
			m.Put(0x5000+efiEntries, uint64(3), uint64(0x6000))
			m.Put(0x6000, uint64(1), uint64(2), uint64(3), uint64(guid2Low), uint64(guid2High), uint64(0x8003), uint64(guid3Low), uint64(guid3High), uint64(0x9001))
			return 0x5000
		},
		"UEFI, version 2": func(m *memtest.Image) uint64 {
			m.Put(0x8003, entry2(tableAt, len(structures())))
			m.Put(0x5000+efiEntries, uint64(1<<40), uint64(0x6000))
			m.Put(0x6000, uint64(guid2Low), uint64(guid2High), uint64(0x8003))
			return 0x5000
		},
	} {
		m := memtest.New(t, memory)
		efi := put(m)
		m.Put(tableAt, structures())
		var s System
		if !Find(m.Memory(), efi, &s) {
			t.Errorf("%s: nothing was found", name)
		}
		if trimmed(s.Maker) != "QEMU" || trimmed(s.Product) != "Standard PC" || trimmed(s.Serial) != " S?N-1" {
			t.Errorf("%s: %q, %q, %q", name, trimmed(s.Maker), trimmed(s.Product), trimmed(s.Serial))
		}
	}
}

func TestWhatIsDamagedIsLeftOut(t *testing.T) {
	var s System
	for name, put := range map[string]func(*memtest.Image){
		"nothing":              func(*memtest.Image) {},
		"checksum":             func(m *memtest.Image) { e := entry3(tableAt, 200); e[12]++; m.Put(0xF_0000, e) },
		"table outside memory": func(m *memtest.Image) { m.Put(0xF_0000, entry3(memory-10, 200)) },
		"table cut off":        func(m *memtest.Image) { m.Put(0xF_0000, entry3(tableAt, 40)) },
		"table of zeros":       func(m *memtest.Image) { m.Put(0xF_0000, entry3(0x4_0000, 0x1000)) },
	} {
		m := memtest.New(t, memory)
		m.Put(tableAt, structures())
		put(m)
		if Find(m.Memory(), 0, &s) || s != (System{}) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// FuzzStructures has no table be read beyond its end: memory ends right behind it.
func FuzzStructures(f *testing.F) {
	f.Add(structures())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 4096 {
			return
		}
		m := memtest.New(t, uint64(len(b)))
		m.Put(0, b)
		var s System
		s.read(m.Memory(), 0, uint64(len(b)))
		for _, c := range append(append(s.Maker[:], s.Product[:]...), s.Serial[:]...) {
			if c != 0 && (c < ' ' || c > '~') {
				t.Fatalf("%q", s)
			}
		}
	})
}
