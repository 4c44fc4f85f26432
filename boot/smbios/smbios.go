package smbios

import "keel/boot/physmem"

// MaxText is how much of a text is kept, bytes; the rest of the array is NUL.
const MaxText = 48

// System is the machine as the firmware names it. What it doesn't say is empty.
type System struct {
	Maker, Product, Serial [MaxText]byte
}

const (
	anchor2    = '_' | 'S'<<8 | 'M'<<16 | '_'<<24 // 5.2.1
	anchor3    = '_' | 'S'<<8 | 'M'<<16 | '3'<<24 // 5.2.2, and another underscore
	searchFrom = 0xF_0000
	searchTo   = 0x10_0000

	typeSystem = 1   // 7.2
	typeEnd    = 127 // 7.45

	maxTable      = 1 << 20 // bytes
	maxStructures = 4096
	maxEntries    = 256 // of UEFI's configuration table
)

// UEFI's table of tables (UEFI 4.3, 4.6), on 64-bit firmware.
const (
	efiEntries    = 104
	efiTables     = 112
	efiEntrySize  = 24
	guid3Low      = 0x4A2C_9794_F2FD_1544
	guid3High     = 0x94E3_20CF_BBE5_2E99
	guid2Low      = 0x11D3_2D88_EB9D_2D31
	guid2High     = 0x4DC1_3F27_9000_169A
	guidLowOffset = 8
)

// Find fills s. efi is the physical address of UEFI's system table, or 0: then the BIOS's memory is
// searched. It says whether there was anything to read.
func Find(mem physmem.Memory, efi uint64, s *System) bool {
	*s = System{}
	if efi != 0 {
		return fromEFI(mem, efi, s)
	}
	for at := uint64(searchFrom); at < searchTo; at += 16 {
		if fromEntry(mem, at, s) {
			return true
		}
	}
	return false
}

func fromEFI(mem physmem.Memory, efi uint64, s *System) bool {
	n, tables := min(mem.U64(efi+efiEntries), maxEntries), mem.U64(efi+efiTables)
	old := uint64(0)
	for i := range n {
		at := tables + i*efiEntrySize
		low, high, to := mem.U64(at), mem.U64(at+guidLowOffset), mem.U64(at+16)
		if low == guid3Low && high == guid3High && fromEntry(mem, to, s) {
			return true
		}
		if low == guid2Low && high == guid2High {
			old = to
		}
	}
	return old != 0 && fromEntry(mem, old, s)
}

// fromEntry reads the structures that a sound entry point at a place leads to.
func fromEntry(mem physmem.Memory, at uint64, s *System) bool {
	switch mem.U32(at) {
	case anchor3:
		if n := uint64(mem.U8(at + 6)); n >= 24 && sound(mem, at, n) {
			return s.read(mem, mem.U64(at+16), uint64(mem.U32(at+12)))
		}
	case anchor2:
		if n := uint64(mem.U8(at + 5)); n >= 30 && sound(mem, at, n) {
			return s.read(mem, uint64(mem.U32(at+24)), uint64(mem.U16(at+22)))
		}
	}
	return false
}

func sound(mem physmem.Memory, at, n uint64) bool {
	sum, ok := mem.Sum8(at, n)
	return ok && sum == 0
}

// read finds the system's structure among those in length bytes. Each is its formatted part, then
// texts that end in NUL, then one more NUL (6.1).
func (s *System) read(mem physmem.Memory, at, length uint64) bool {
	if length > maxTable || !mem.Holds(at, length) {
		return false
	}
	end := at + length
	for range maxStructures {
		kind, size := mem.U8(at), uint64(mem.U8(at+1))
		if size < 4 || size > end-at || kind == typeEnd {
			return false
		}
		texts := at + size
		next := texts
		for next+2 <= end && mem.U16(next) != 0 {
			next++
		}
		if next+2 > end {
			return false
		}
		next += 2
		if kind == typeSystem && size >= 8 {
			text(mem, texts, next, mem.U8(at+4), &s.Maker)
			text(mem, texts, next, mem.U8(at+5), &s.Product)
			text(mem, texts, next, mem.U8(at+7), &s.Serial)
			return true
		}
		if next+4 > end {
			return false
		}
		at = next
	}
	return false
}

// text copies text number n, the first being 1, of those in [at, end), without blanks at its end.
func text(mem physmem.Memory, at, end uint64, n uint8, to *[MaxText]byte) {
	for ; n > 1; n-- {
		for at < end && mem.U8(at) != 0 {
			at++
		}
		at++
	}
	if n == 0 {
		return
	}
	for i := 0; at < end && i < len(to)-1; i, at = i+1, at+1 {
		b := mem.U8(at)
		if b == 0 {
			break
		}
		if b < ' ' || b > '~' {
			b = '?'
		}
		to[i] = b
	}
	for i := len(to) - 1; i >= 0 && (to[i] == 0 || to[i] == ' '); i-- {
		to[i] = 0
	}
}
