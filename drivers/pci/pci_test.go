package pci_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"keel/drivers/internal/fake"
	"keel/drivers/pci"
)

// bridge makes a function a bridge to a bus.
func bridge(f *fake.Function, to uint8) {
	f.Put8(0x0E, 1)
	f.Put8(0x19, to)
}

func walked(h *fake.Host) []string {
	var list []string
	for _, f := range pci.Walk(h) {
		list = append(list, f.String())
	}
	return list
}

func TestWalkFindsWhatIsBehindBridges(t *testing.T) {
	h := fake.NewHost()
	h.Add(pci.At(0, 0, 0), 0x8086, 0x1237, 0x0600)
	h.Add(pci.At(0, 1, 0), 0x8086, 0x7000, 0x0601).Put8(0x0E, 0x80)
	h.Add(pci.At(0, 1, 3), 0x8086, 0x7113, 0x0680)
	bridge(h.Add(pci.At(0, 2, 0), 0x8086, 1, 0x0604), 3)
	h.Add(pci.At(0, 4, 0), 0x8086, 2, 0x0200)
	h.Add(pci.At(0, 4, 1), 0x8086, 3, 0x0200) // not multi-function: a ghost
	bridge(h.Add(pci.At(3, 0, 0), 0x8086, 4, 0x0604), 9)
	h.Add(pci.At(9, 31, 0), 0x1AF4, 0x1041, 0x0200)
	h.Add(pci.At(7, 0, 0), 1, 1, 0x0200) // on a bus that no bridge leads to
	want := []string{"0000:00:00.0 8086:1237", "0000:00:01.0 8086:7000", "0000:00:01.3 8086:7113", "0000:00:02.0 8086:0001",
		"0000:00:04.0 8086:0002", "0000:03:00.0 8086:0004", "0000:09:1f.0 1af4:1041"}
	if got := walked(h); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWalkEndsWhereBridgesLoop(t *testing.T) {
	h := fake.NewHost()
	for d := range 32 {
		bridge(h.Add(pci.At(0, d, 0), 1, 1, 0x0604), uint8(d%3))
		bridge(h.Add(pci.At(1, d, 0), 1, 1, 0x0604), 2)
		bridge(h.Add(pci.At(2, d, 0), 1, 1, 0x0604), 1)
	}
	if got := walked(h); len(got) != 96 {
		t.Errorf("found %d, want 96", len(got))
	}
}

func TestFurtherHostBridgesBeginBuses(t *testing.T) {
	h := fake.NewHost()
	h.Add(pci.At(0, 0, 0), 1, 1, 0x0600).Put8(0x0E, 0x80)
	h.Add(pci.At(0, 0, 2), 1, 1, 0x0600)
	h.Add(pci.At(2, 5, 0), 2, 2, 0x0200)
	if got := walked(h); !slices.Contains(got, "0000:02:05.0 0002:0002") {
		t.Errorf("%q", got)
	}
}

func TestBARs(t *testing.T) {
	h := fake.NewHost()
	f := h.Add(pci.At(0, 3, 0), 0x8086, 0x100E, 0x0200)
	f.BAR(0, 0xFEB8_0000, 0x20000, fake.Bytes(make([]byte, 0x20000)))
	f.Put32(0x14, 0xC001) // 64 ports
	copy(f.Writable[0x14:], []byte{0xC0, 0xFF, 0, 0})
	f.Put32(0x18, 0x0000_000C) // 64 bits, prefetchable, at 32 GiB
	f.Put32(0x1C, 8)
	copy(f.Writable[0x18:], []byte{0, 0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Put32(0x24, 0xC) // 64 bits in the last register
	fn := pci.Walk(h)[0]
	if err := fn.Enable(); err != nil {
		t.Fatal(err)
	}
	before := f.Config
	for i, want := range []pci.BAR{
		{Base: 0xFEB8_0000, Size: 0x20000},
		{Base: 0xC000, Size: 64, IO: true},
		{Base: 32 << 30, Size: 0x4000, Wide: true},
		{}, // the upper half of the one before, whose bits of type are no BAR's of its own
		{},
	} {
		if i == 3 {
			continue
		}
		got, err := fn.BAR(i)
		if err != nil || got != want {
			t.Errorf("%d: %+v, %v; want %+v", i, got, err, want)
		}
	}
	if _, err := fn.BAR(5); err == nil {
		t.Error("a register of 64 bits was taken where there is only half of one")
	}
	if f.Config != before {
		t.Error("sizing left traces")
	}
	if _, err := fn.Map(1, 16, 64); err == nil || !strings.Contains(err.Error(), "ports: true") {
		t.Errorf("ports were mapped as memory: %v", err)
	}
	if _, err := fn.Map(0, 0x40000, 0x40000); err == nil {
		t.Error("more was mapped than there is")
	}
	r, err := fn.Map(0, 0x1000, 0x8000)
	if err != nil || r.Size() != 0x8000 {
		t.Errorf("%v, %v", r, err)
	}
}

func TestCapabilitiesEnd(t *testing.T) {
	h := fake.NewHost()
	f := h.Add(pci.At(0, 3, 0), 1, 1, 0x0200)
	f.Capability(0x50, pci.CapMSI)
	f.Capability(0xDC, pci.CapPower)
	fn := pci.Walk(h)[0]
	want := "[{1 220} {5 80}]"
	if got := fmt.Sprint(fn.Capabilities()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	f.Config[0x51] = 0xDE // back to the first
	if got := fmt.Sprint(fn.Capabilities()); got != want {
		t.Errorf("in a loop: %s, want %s", got, want)
	}
	f.Config[0x51] = 0x10 // into the header
	if got := fmt.Sprint(fn.Capabilities()); got != want {
		t.Errorf("out of the space: %s, want %s", got, want)
	}
}

// writable makes n bytes of configuration space ones that take all writes.
func writable(f *fake.Function, at, n int) {
	for i := range n {
		f.Writable[at+i] = 0xFF
	}
}

func TestMSI(t *testing.T) {
	for _, wide := range []bool{false, true} {
		h := fake.NewHost()
		f := h.Add(pci.At(0, 3, 0), 1, 1, 0x0200)
		f.Capability(0x50, pci.CapMSI)
		data := 0x58
		if wide {
			f.Put16(0x52, 0x80)
			data = 0x5C
		}
		writable(f, 0x52, 14)
		f.Put32(0x58, 0xFFFF_FFFF)
		_, kind, err := pci.Walk(h)[0].Connect(pci.MSIX, pci.MSI, pci.INTx)
		if err != nil || kind != pci.MSI {
			t.Fatalf("%v %v", kind, err)
		}
		if f.Get32(0x54) != 0xFEE0_0000 || wide && f.Get32(0x58) != 0 || f.Get32(data)&0xFFFF != 0x40 || f.Config[0x52]&1 == 0 || f.Config[5]&4 == 0 {
			t.Errorf("wide %v: % x, command % x", wide, f.Config[0x50:0x60], f.Config[4:6])
		}
	}
}

func TestMSIX(t *testing.T) {
	h := fake.NewHost()
	f := h.Add(pci.At(0, 3, 0), 1, 1, 0x0200)
	table := fake.Bytes(make([]byte, 0x1000))
	f.BAR(1, 0xFEB0_0000, 0x1000, table)
	f.Capability(0x50, pci.CapMSIX)
	f.Put16(0x52, 2) // three entries
	f.Put32(0x54, 0x800|1)
	f.Writable[0x53] = 0xC0
	_, kind, err := pci.Walk(h)[0].Connect(pci.MSIX, pci.MSI)
	if err != nil || kind != pci.MSIX {
		t.Fatalf("%v %v", kind, err)
	}
	if table.Read32(0x800) != 0xFEE0_0000 || table.Read32(0x808) != 0x40 || table.Read32(0x80C) != 0 || table.Read32(0x81C) != 1 || table.Read32(0x82C) != 1 || f.Config[0x53] != 0x80 {
		t.Errorf("table % x, control %#x", table[0x800:0x830], f.Config[0x53])
	}
	f.Put32(0x54, 0xFF8|1) // beyond the register's memory
	if _, _, err := pci.Walk(h)[0].Connect(pci.MSIX); err == nil || !strings.Contains(err.Error(), "isn't within") {
		t.Errorf("a table outside was taken: %v", err)
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		pin, line uint8
		want      bool
	}{{1, 11, true}, {0, 11, false}, {5, 11, false}, {1, 0xFF, false}, {1, 0, false}, {1, 200, false}} {
		h := fake.NewHost()
		f := h.Add(pci.At(0, 3, 0), 1, 1, 0x0200)
		f.Put8(0x3C, c.line)
		f.Put8(0x3D, c.pin)
		_, _, err := pci.Walk(h)[0].Connect(pci.MSI, pci.INTx)
		if (err == nil) != c.want {
			t.Errorf("pin %d, line %d: %v", c.pin, c.line, err)
		}
	}
}

// FuzzConfiguration reads arbitrary configuration spaces: no walk may panic or go on for long.
func FuzzConfiguration(f *testing.F) {
	f.Add([]byte{0x86, 0x80, 0x0E, 0x10, 6, 0, 0x10, 0, 0, 0, 0, 2, 0, 0, 0x81, 0}, uint16(0))
	f.Add(make([]byte, 256), uint16(0x0101))
	f.Fuzz(func(t *testing.T, config []byte, where uint16) {
		h := fake.NewHost()
		for _, a := range []pci.Address{0, pci.Address(where), 0x100, 8, 1} {
			fn := h.Add(a, 1, 1, 0x0200)
			copy(fn.Config[:256], config)
			for i := range fn.Writable {
				if i < len(config) {
					fn.Writable[i] = config[len(config)-1-i]
				}
			}
			for bar := range 6 {
				fn.Registers[bar] = fake.Bytes(make([]byte, 0x1000))
			}
		}
		found := pci.Walk(h)
		if h.Reads > 256*32*8*10 {
			t.Errorf("%d reads", h.Reads)
		}
		for _, fn := range found[:min(len(found), 8)] {
			if n := len(fn.Capabilities()); n > 48 {
				t.Errorf("%d capabilities", n)
			}
			for i := range 6 {
				if b, err := fn.BAR(i); err == nil && b.Size != 0 && b.Base%b.Size != 0 {
					t.Errorf("%+v", b)
				}
				fn.Map(i, 16, 0x1000)
			}
			fn.Connect(pci.MSIX, pci.MSI, pci.INTx)
		}
	})
}
