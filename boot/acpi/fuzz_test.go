package acpi

import (
	"encoding/binary"
	"testing"

	"keel/boot/physmem/memtest"
)

// FuzzTables takes tables that are joined, each behind its length of 2 bytes, gives each a right
// header length and checksum, so that the readers behind them are reached, and hangs them into
// a machine. A FADT's DSDT is the table behind it.
func FuzzTables(f *testing.F) {
	seed := func(tables ...[]byte) {
		var all []byte
		for _, b := range tables {
			all = append(binary.LittleEndian.AppendUint16(all, uint16(len(b))), b...)
		}
		f.Add(all)
	}
	seed(newMADT(1, localAPIC(0, 0, 1), localX2APIC(300, 1, 7), ioAPIC(1, 0xFEC0_0000, 0), override(0, 9, 9, 13),
		memtest.Bytes([]byte{4, 6, 0xFF, 0, 0, 1})))
	seed(newFADT(276, 0, nil), newTable("DSDT", 2, "\x08_S5_\x12\x06\x02\x0A\x05\x0A\x05"))
	seed(newTable("HPET", 1, uint32(1), gas(0, 64, 0xFED0_0000), uint32(0)),
		newTable("MCFG", 1, uint64(0), uint64(0xB000_0000), uint16(0), uint8(0), uint8(255), uint32(0)))
	seed(newSRAT(memoryAffinity(0, 0, 1<<30, 1), memoryAffinity(1, 1<<30, 1<<30, 1), localAPICAffinity(1, 2, 1), x2APICAffinity(0, 300, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<15 {
			return
		}
		m := newMachine(t)
		fadt := false
		for len(data) > 2 && len(m.addresses) < 200 {
			n := min(int(binary.LittleEndian.Uint16(data)), len(data)-2)
			b := append([]byte{}, data[2:2+n]...)
			data = data[2+n:]
			if len(b) < headerSize {
				continue
			}
			binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
			if string(b[:4]) == "FACP" && len(b) >= 44 {
				binary.LittleEndian.PutUint32(b[40:], uint32((m.next+uint64(len(b))+63)&^63))
				fadt = true
			} else if fadt {
				copy(b, "DSDT")
				fadt = false
			}
			m.addresses = append(m.addresses, m.put(sealed(b, 9)))
		}
		m.root()
		tables := m.parse(t)
		for irq := range uint8(16) {
			tables.ISA(irq)
		}
	})
}

// FuzzRoot takes the memory from 0xE0000 on as it is.
func FuzzRoot(f *testing.F) {
	b := rsdp(2)
	binary.LittleEndian.PutUint32(b[16:], 0xE0040)
	binary.LittleEndian.PutUint64(b[24:], 0xE0040)
	sealed(b[:20], 8)
	f.Add(append(append(sealed(b, 32), make([]byte, 28)...), newTable("XSDT", 1, uint64(0xE0040), uint64(0xFFFF_FFFF_FFFF_FFF0))...))
	f.Add(rsdp(0))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		image := memtest.New(t, 0xE0000+uint64(len(data))+1)
		image.Put(0xE0000, data)
		var tables Tables
		Parse(image.Memory(), 0, &tables)
		checkInvariants(t, image, &tables)
	})
}
