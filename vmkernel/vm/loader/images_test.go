package loader

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"keel/vmkernel/vm/guestmem"
)

// ram returns the memory of a guest with size bytes. Its first 8 MiB are full
// of 0xCC, so that a test sees what wasn't written; the rest costs the host
// nothing until it is touched, and is given back after the test.
func ram(t testing.TB, size uint64) *guestmem.Memory {
	t.Helper()
	low, high := guestmem.Split(size)
	ranges := []guestmem.Range{{GPA: 0, Bytes: anonymous(t, low)}}
	if high > 0 {
		ranges = append(ranges, guestmem.Range{GPA: guestmem.HighStart, Bytes: anonymous(t, high)})
	}
	m, err := guestmem.New(ranges...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ranges[0].Bytes[:min(low, 8<<20)] {
		ranges[0].Bytes[i] = 0xCC
	}
	return m
}

// anonymous returns n bytes of address space that is populated when touched.
func anonymous(t testing.TB, n uint64) []byte {
	t.Helper()
	b, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(b) })
	return b
}

// pattern returns n test bytes that depend on seed.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7+i>>8) ^ seed
	}
	return b
}

// bzImageFile returns a small bzImage of protocol 2.15 with 8 KiB of kernel,
// for tests to change.
func bzImageFile() []byte {
	const setupSects, kernelSize = 4, 8192
	b := make([]byte, (setupSects+1)*512)
	b[0x1F1] = setupSects
	le.PutUint32(b[0x1F4:], kernelSize/16)
	le.PutUint16(b[0x1FE:], 0xAA55)
	b[0x200], b[0x201] = 0xEB, 0x6A // the header ends at 0x26C
	copy(b[0x202:], "HdrS")
	le.PutUint16(b[0x206:], 0x020F)
	b[0x211] = 1                        // LOADED_HIGH
	le.PutUint32(b[0x214:], 0x100000)   // code32_start
	le.PutUint32(b[0x22C:], 0x7FFFFFFF) // initrd_addr_max
	le.PutUint32(b[0x230:], 0x200000)   // kernel_alignment
	b[0x234] = 1                        // relocatable_kernel
	le.PutUint16(b[0x236:], 3)          // XLF_KERNEL_64, XLF_CAN_BE_LOADED_ABOVE_4G
	le.PutUint32(b[0x238:], 2047)       // cmdline_size
	le.PutUint64(b[0x258:], 0x1000000)  // pref_address
	le.PutUint32(b[0x260:], 0x800000)   // init_size
	le.PutUint32(b[0x26C:], 0xDEADBEEF) // after the header
	return append(b, pattern(kernelSize, 1)...)
}

// A testSegment is a program header and the bytes behind it.
type testSegment struct {
	kind         uint32
	vaddr, paddr uint64
	memsz        uint64 // 0: as data
	data         []byte
}

// elfImage returns an ELF file of the class (1 or 2).
func elfImage(class byte, entry uint64, segs ...testSegment) []byte {
	ehsize, phsize, machine := 52, 32, uint16(3)
	if class == 2 {
		ehsize, phsize, machine = 64, 56, 62
	}
	addr := func(b []byte, v uint64) []byte {
		if class == 2 {
			return le.AppendUint64(b, v)
		}
		return le.AppendUint32(b, uint32(v))
	}
	b := append([]byte("\x7fELF"), class, 1, 1, 0)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, machine)
	b = le.AppendUint32(b, 1)
	b = addr(b, entry)
	b = addr(b, uint64(ehsize))
	b = addr(b, 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []int{ehsize, phsize, len(segs), 0, 0, 0} {
		b = le.AppendUint16(b, uint16(v))
	}
	offset := uint64(ehsize + phsize*len(segs))
	var data []byte
	for _, s := range segs {
		size := uint64(len(s.data))
		memsz := s.memsz
		if memsz == 0 {
			memsz = size
		}
		b = le.AppendUint32(b, s.kind)
		if class == 2 {
			b = le.AppendUint32(b, 7)
		}
		for _, v := range []uint64{offset, s.vaddr, s.paddr, size, memsz} {
			b = addr(b, v)
		}
		if class == 1 {
			b = le.AppendUint32(b, 7)
		}
		b = addr(b, 4)
		data, offset = append(data, s.data...), offset+size
	}
	return append(b, data...)
}

// note returns an ELF note with 4-byte padding.
func note(owner string, kind uint32, desc []byte) []byte {
	b := le.AppendUint32(nil, uint32(len(owner)))
	b = le.AppendUint32(b, uint32(len(desc)))
	b = le.AppendUint32(b, kind)
	for _, s := range []string{owner, string(desc)} {
		b = append(b, s...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

// pvhFile returns a PVH kernel of the class: 4 KiB at 1 MiB with 8 KiB in
// memory, 100 bytes at 2 MiB, entry at 1 MiB + 0x40.
func pvhFile(class byte) []byte {
	desc := le.AppendUint32(nil, 0x100040)
	if class == 2 {
		desc = le.AppendUint64(nil, 0x100040)
	}
	notes := append(note("GNU\x00", 3, pattern(20, 9)), note("Xen\x00", 5, []byte("linux\x00"))...)
	return elfImage(class, 0x100000,
		testSegment{kind: 1, vaddr: 0xC0100000, paddr: 0x100000, memsz: 8192, data: pattern(4096, 2)},
		testSegment{kind: 1, vaddr: 0xC0200000, paddr: 0x200000, data: pattern(100, 3)},
		testSegment{kind: 4, data: append(notes, note("Xen\x00", 18, desc)...)})
}

// mbHeaderBytes returns a multiboot header with the right checksum.
func mbHeaderBytes(flags uint32, addresses ...uint32) []byte {
	b := le.AppendUint32(nil, 0x1BADB002)
	b = le.AppendUint32(b, flags)
	b = le.AppendUint32(b, -(0x1BADB002 + flags))
	for _, a := range addresses {
		b = le.AppendUint32(b, a)
	}
	return b
}

// mbELF returns a multiboot ELF kernel of the class, loaded at 1 MiB with
// 8 KiB in memory and linked to run at 3 GiB + 1 MiB.
func mbELF(class byte) []byte {
	data := append(mbHeaderBytes(3), pattern(4096-12, 4)...)
	return elfImage(class, 0xC0100020,
		testSegment{kind: 1, vaddr: 0xC0100000, paddr: 0x100000, memsz: 8192, data: data})
}

// mbFlat returns a kernel that isn't ELF, with the header at 0x40 of the file
// and address fields: loaded at 1 MiB, bss up to 1 MiB + 0x3000.
func mbFlat() []byte {
	b := pattern(4096, 5)
	copy(b[0x40:], mbHeaderBytes(3|1<<16, 0x100040, 0x100000, 0x101000, 0x103000, 0x100100))
	return b
}

// mustLoad is Load for an image that has to work.
func mustLoad(t testing.TB, m *guestmem.Memory, img Image) Entry {
	t.Helper()
	e, err := Load(m, img, 0xE0000)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wantError loads an image that must be refused with an error that has all
// the parts.
func wantError(t *testing.T, size uint64, img Image, parts ...string) {
	t.Helper()
	_, err := Load(ram(t, size), img, 0xE0000)
	if err == nil {
		t.Errorf("loaded, want an error with %q", parts)
		return
	}
	for _, p := range append(parts, "loader: ") {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q is not one line", err)
	}
}

// bytesAt reads n bytes of guest memory.
func bytesAt(t testing.TB, m *guestmem.Memory, gpa, n uint64) []byte {
	t.Helper()
	b := make([]byte, n)
	if err := m.ReadAt(b, gpa); err != nil {
		t.Fatal(err)
	}
	return b
}

// stringAt reads a NUL-terminated string of guest memory.
func stringAt(t testing.TB, m *guestmem.Memory, gpa uint64) string {
	t.Helper()
	var s []byte
	for {
		c, err := m.Read8(gpa + uint64(len(s)))
		if err != nil {
			t.Fatal(err)
		}
		if c == 0 {
			return string(s)
		}
		s = append(s, c)
	}
}

const mib, gib = 1 << 20, 1 << 30

// TestRoomIsAskedForBeforeAnythingIsWritten: whatever a kernel claims to be, nothing is written that wasn't asked for, and where
// there is no room Load fails.
func TestRoomIsAskedForBeforeAnythingIsWritten(t *testing.T) {
	for name, file := range map[string][]byte{"bzImage": bzImageFile(), "pvh": pvhFile(2), "multiboot": mbFlat(), "multiboot ELF": mbELF(1)} {
		m := ram(t, 24<<20)
		before, err := m.Slice(0, 24<<20)
		if err != nil {
			t.Fatal(err)
		}
		was := append([]byte(nil), before...)
		asked, calls := make([]bool, len(was)), 0
		img := Image{Kernel: file, Cmdline: "x", Initrd: pattern(10_000, 9)}
		img.Room = func(gpa, n uint64) error {
			calls++
			for i := gpa; i < gpa+n; i++ {
				if before[i] != was[i] && !asked[i] {
					t.Fatalf("%s: byte %#x was written before there was room", name, i)
				}
				asked[i] = true
			}
			return nil
		}
		mustLoad(t, m, img)
		for i := range was {
			if before[i] != was[i] && !asked[i] {
				t.Fatalf("%s: byte %#x was written, and nobody asked for room", name, i)
			}
		}
		for after := range calls {
			none := errors.New("no room")
			img.Room = func(gpa, n uint64) error {
				if after--; after < 0 {
					return none
				}
				return nil
			}
			if _, err := Load(m, img, 0); !errors.Is(err, none) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
