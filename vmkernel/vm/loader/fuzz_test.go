package loader

import (
	"testing"

	"keel/vmkernel/vm/guestmem"
)

// fuzz feeds mutations of the seeds to Load as kernels and checks of those
// that it accepts that the entry state can run.
func fuzz(f *testing.F, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
		f.Add(s[:len(s)/2])
	}
	// One guest serves all runs: Load writes whatever it depends on.
	m, err := guestmem.New(guestmem.Range{GPA: 0, Bytes: make([]byte, 24<<20)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kernel []byte) {
		img := Image{Kernel: kernel, Cmdline: "console=ttyS0", Initrd: []byte("initrd")}
		e, err := Load(m, img, 0xE0000)
		if err != nil {
			if e != (Entry{}) {
				t.Errorf("an error and an entry: %+v", e)
			}
			return
		}
		if e.RIP < 0x100000 && e.RIP >= firmwareStart || e.RIP >= m.Size() {
			t.Errorf("entry point %#x is not in usable RAM", e.RIP)
		}
		if e.RIP >= e.GDTBase && e.RIP <= e.GDTBase+uint64(e.GDTLimit) || e.RIP >= e.RSP-pageSize && e.RIP < e.RSP {
			t.Errorf("entry point %#x is in the GDT or the stack", e.RIP)
		}
		for _, at := range []uint64{e.GDTBase, e.RSP - 1, e.RBX, e.RSI, e.CR3} {
			if at >= bootHigh {
				t.Errorf("a boot structure is at %#x", at)
			}
		}
		var code, data Segment = e.CS, e.DS
		if d, _ := m.Read64(e.GDTBase + 0x10); d != code.descriptor() {
			t.Errorf("code descriptor %#x", d)
		}
		if d, _ := m.Read64(e.GDTBase + 0x18); d != data.descriptor() {
			t.Errorf("data descriptor %#x", d)
		}
	})
}

func FuzzBzImage(f *testing.F)   { fuzz(f, bzImageFile()) }
func FuzzPVH(f *testing.F)       { fuzz(f, pvhFile(1), pvhFile(2)) }
func FuzzMultiboot(f *testing.F) { fuzz(f, mbFlat(), mbELF(1), mbELF(2)) }
