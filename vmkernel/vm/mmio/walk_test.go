package mmio

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// longMode builds tables at 10000H that map the first 2 MiB by 4 KiB pages to
// themselves and the fourth GiB by one 1 GiB page.
func longMode(memory ram) *CPU {
	const pml4, pdpt, pd, pt = 0x10000, 0x11000, 0x12000, 0x13000
	memory.put64(pml4, pdpt|pteP|pteW|pteU)
	memory.put64(pdpt, pd|pteP|pteW|pteU)
	memory.put64(pdpt+3*8, 3<<30|pteP|pteW|ptePS)
	memory.put64(pd, pt|pteP|pteW|pteU)
	for i := range uint64(32) {
		memory.put64(pt+i*8, i<<12|pteP|pteW)
	}
	return &CPU{Mode: Mode64, RIP: codeAt, RFLAGS: 2, CR0: cr0PG | cr0WP | 1, CR3: pml4, CR4: cr4PAE, EFER: eferLMA | eferNXE}
}

func TestTranslate(t *testing.T) {
	const (
		t4, t3, t2, t1 = 0x1000, 0x2000, 0x3000, 0x4000
		all            = pteP | pteW | pteU
	)
	type entry struct{ at, value uint64 }
	long := CPU{CR0: cr0PG | cr0WP, CR3: t4 | 0x18, CR4: cr4PAE, EFER: eferLMA | eferNXE}
	pae := CPU{CR0: cr0PG | cr0WP, CR3: t3 | 0x20, CR4: cr4PAE, EFER: eferNXE}
	legacy := CPU{CR0: cr0PG | cr0WP, CR3: t2, CR4: cr4PSE}
	as := func(c CPU, change func(*CPU)) CPU { change(&c); return c }
	user := func(c *CPU) { c.CPL = 3 }
	to4K := []entry{{t4, t3 | all}, {t3, t2 | all}, {t2, t1 | all}}
	const high = 0xffffffff_80000000
	for _, tc := range []struct {
		name    string
		cpu     CPU
		entries []entry // 4 bytes each in the 32-bit mode
		linear  uint64
		access  Access
		want    uint64
		code    int // of a page fault; negative for none
	}{
		{"no paging", CPU{}, nil, 0x1_8000_1234, ForWrite, 0x80001234, -1},

		{"4 KiB", long, append(to4K, entry{t1 + 5*8, 0xabcde000 | all}), 0x5123, ForWrite, 0xabcde123, -1},
		{"4 KiB, PAT bit", long, append(to4K, entry{t1 + 5*8, 0xabcde000 | all | ptePS}), 0x5123, ForRead, 0xabcde123, -1},
		{"52 bits, NX", long, append(to4K, entry{t1, 0xfffff_ffff_f000 | all | pteNX}), 0xfff, ForRead, 0xfffff_ffff_ffff, -1},
		{"2 MiB", long, []entry{{t4, t3 | all}, {t3, t2 | all}, {t2 + 8, 0x40200000 | 1<<12 | all | ptePS}}, 0x3fe0ff, ForRead, 0x403fe0ff, -1},
		{"1 GiB", long, []entry{{t4, t3 | all}, {t3 + 8, 0x80000000 | all | ptePS}}, 0x7fffffff, ForRead, 0xbfffffff, -1},
		{"kernel half", long, []entry{{t4 + 511*8, t3 | all}, {t3 + 510*8, 0x40000000 | all | ptePS}}, high + 0x777, ForRead, 0x40000777, -1},
		{"level 4 absent", long, nil, 0, ForRead, 0, 0},
		{"level 3 absent", long, []entry{{t4, t3 | all}}, 0, ForWrite, 0, pfWrite},
		{"level 1 absent", long, to4K, 0, ForFetch, 0, pfFetch},
		{"level 4 page", long, []entry{{t4, t3 | all | ptePS}}, 0, ForRead, 0, pfPresent | pfReserved},
		{"absent for the user", as(long, user), to4K, 0, ForRead, 0, pfUser},
		{"user, supervisor table", as(long, user), []entry{{t4, t3 | pteP | pteW}, {t3, all | ptePS}}, 0, ForRead, 0, pfPresent | pfUser},
		{"user, read-only table", as(long, user), []entry{{t4, t3 | pteP | pteU}, {t3, all | ptePS}}, 0, ForWrite, 0, pfPresent | pfUser | pfWrite},
		{"user reads read-only", as(long, user), []entry{{t4, t3 | pteP | pteU}, {t3, all | ptePS}}, 5, ForRead, 5, -1},
		{"supervisor writes read-only", long, []entry{{t4, t3 | all}, {t3, pteP | ptePS}}, 0, ForWrite, 0, pfPresent | pfWrite},
		{"the same with WP off", as(long, func(c *CPU) { c.CR0 &^= cr0WP }), []entry{{t4, t3 | all}, {t3, pteP | ptePS}}, 5, ForWrite, 5, -1},
		{"fetch, NX above", long, []entry{{t4, t3 | all | pteNX}, {t3, all | ptePS}}, 0, ForFetch, 0, pfPresent | pfFetch},
		{"fetch, SMEP", as(long, func(c *CPU) { c.CR4 |= cr4SMEP }), []entry{{t4, t3 | all}, {t3, all | ptePS}}, 0, ForFetch, 0, pfPresent | pfFetch},
		{"read, SMAP", as(long, func(c *CPU) { c.CR4 |= cr4SMAP }), []entry{{t4, t3 | all}, {t3, all | ptePS}}, 0, ForRead, 0, pfPresent},
		{"read, SMAP, AC", as(long, func(c *CPU) { c.CR4 |= cr4SMAP; c.RFLAGS = flagAC }), []entry{{t4, t3 | all}, {t3, all | ptePS}}, 5, ForRead, 5, -1},
		{"table refers to itself", as(long, func(c *CPU) { c.CR3 = t4 }), []entry{{t4, t4 | all}}, 0x123, ForRead, t4 | 0x123, -1},

		{"PAE 4 KiB", pae, []entry{{t3 + 0x20 + 8, t2 | pteP}, {t2, t1 | all}, {t1 + 8, 0x1_2345_6000 | all}}, 0x4000_1abc, ForWrite, 0x1_2345_6abc, -1},
		{"PAE 2 MiB", pae, []entry{{t3 + 0x20 + 24, t2 | pteP}, {t2 + 511*8, 0xfee00000 | all | ptePS}}, 0xffffffff, ForWrite, 0xfeffffff, -1},
		{"PAE, user through PDPTE", as(pae, user), []entry{{t3 + 0x20, t2 | pteP}, {t2, all | ptePS}}, 1, ForWrite, 1, -1},
		{"PAE absent", pae, nil, 0, ForRead, 0, 0},

		{"32-bit 4 KiB", legacy, []entry{{t2 + 4*3, t1 | all}, {t1 + 4*1023, 0xfee00000 | all}}, 0xff_f0f0, ForWrite, 0xfee000f0, -1},
		{"32-bit 4 MiB", legacy, []entry{{t2 + 4*2, 0xffc00000 | all | ptePS}}, 0xbfffff, ForRead, 0xffffffff, -1},
		{"PSE-36", legacy, []entry{{t2, 0x00400000 | 0x1fe000 | all | ptePS}}, 0x21, ForRead, 0xff_0040_0021, -1},
		{"PS without PSE", as(legacy, func(c *CPU) { c.CR4 = 0 }), []entry{{t2, t1 | all | ptePS}, {t1, 0x7000 | all}}, 0x21, ForRead, 0x7021, -1},
		{"32-bit absent", legacy, []entry{{t2, t1 | all}}, 0, ForFetch, 0, 0},
		{"32-bit user", as(legacy, user), []entry{{t2, t1 | all}, {t1, pteP | pteW}}, 0, ForWrite, 0, pfPresent | pfUser | pfWrite},
	} {
		memory := make(ram, 0x5000)
		for _, e := range tc.entries {
			if tc.cpu.CR4&cr4PAE == 0 {
				memory.put32(e.at, uint32(e.value))
			} else {
				memory.put64(e.at, e.value)
			}
		}
		got, err := Translate(memory, &tc.cpu, tc.linear, tc.access)
		var fault *PageFault
		switch errors.As(err, &fault); {
		case tc.code < 0:
			if err != nil || got != tc.want {
				t.Errorf("%s: %#x, %v; want %#x", tc.name, got, err, tc.want)
			}
		case fault == nil || fault.Code != uint32(tc.code) || fault.Linear != tc.linear:
			t.Errorf("%s: %#x, %v; want a page fault with code %#x", tc.name, got, err, tc.code)
		}
	}
}

func TestTranslateNamesWhyItCannot(t *testing.T) {
	long := CPU{CR0: cr0PG, CR3: 0x1000, CR4: cr4PAE, EFER: eferLMA}
	la57 := long
	la57.CR4 |= cr4LA57
	memory := make(ram, 0x2000)
	memory.put64(0x1000, 0x7_0000_0000|pteP)
	for _, tc := range []struct {
		cpu    CPU
		linear uint64
		want   string
	}{
		{long, 1 << 47, "0x800000000000 is not canonical"},
		{la57, 0, "5-level paging"},
		{long, 8, "page table entry at 0x700000000 for linear address 0x8: 0x700000000 is not RAM"},
	} {
		if _, err := Translate(memory, &tc.cpu, tc.linear, ForRead); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}

func TestFetchAcrossPages(t *testing.T) {
	memory := make(ram, 0x20000)
	c := longMode(memory)
	pt := func(i uint64) uint64 { return 0x13000 + i*8 }
	memory.put64(pt(2), 0x5000|pteP) // the page after is elsewhere
	for i := range uint64(pageSize) {
		memory[0x1000+i] = byte(i)
		memory[0x5000+i] = 0x50
	}
	var code [MaxLen]byte
	for _, tc := range []struct {
		rip    uint64
		absent bool
		n      int
		want   string
	}{
		{0x1000, false, 15, "000102030405060708090a0b0c0d0e"},
		{0x1ff1, false, 15, "f1f2f3f4f5f6f7f8f9fafbfcfdfeff"},
		{0x1ff2, false, 15, "f2f3f4f5f6f7f8f9fafbfcfdfeff50"},
		{0x1fff, false, 15, "ff5050505050505050505050505050"},
		{0x1ffe, true, 2, "feff"},
	} {
		if tc.absent {
			memory.put64(pt(2), 0)
		}
		c.RIP = tc.rip
		n, err := Fetch(memory, c, &code)
		if got := fmt.Sprintf("%x", code[:n]); err != nil || n != tc.n || got != tc.want {
			t.Errorf("at %#x: %d bytes %s (%v), want %d: %s", tc.rip, n, got, err, tc.n, tc.want)
		}
	}

	// An instruction that needs the absent page faults there; one that ends
	// before it is executed.
	d := new(dev)
	e := New(memory, d)
	copy(memory[0x1ffe:], []byte{0x8b, 0x86})
	var fault *PageFault
	if err := e.Handle(c, deviceAt); !errors.As(err, &fault) || *fault != (PageFault{0x2000, pfFetch}) {
		t.Errorf("instruction cut off by an absent page: %v", err)
	}
	copy(memory[0x1ffe:], []byte{0x8b, 0x06})
	c.GPR[6] = deviceAt
	if err := e.Handle(c, deviceAt); err != nil || c.RIP != 0x2000 {
		t.Errorf("instruction before an absent page: RIP %#x, %v", c.RIP, err)
	}
	c.RIP = 0x2345
	if err := e.Handle(c, deviceAt); !errors.As(err, &fault) || fault.Linear != 0x2345 {
		t.Errorf("instruction on an absent page: %v", err)
	}
	c.RIP = deviceAt
	if err := e.Handle(c, deviceAt); err == nil || !strings.Contains(err.Error(), "instruction at linear address 0xfeb00000") {
		t.Errorf("instruction on a device: %v", err)
	}
}

func TestMoveToAPageThatFaultsDoesNothing(t *testing.T) {
	memory := make(ram, 0x20000)
	c := longMode(memory)
	copy(memory[codeAt:], []byte{0xa4})
	c.GPR[6], c.GPR[7] = deviceAt, 0x1ff000
	want := *c
	d := new(dev)
	var fault *PageFault
	if err := New(memory, d).Handle(c, deviceAt); !errors.As(err, &fault) || *fault != (PageFault{0x1ff000, pfWrite}) {
		t.Errorf("error %v", err)
	}
	if *c != want || len(d.log) != 0 {
		t.Errorf("CPU %x, device %q", *c, d.log)
	}
}

func TestModeOf(t *testing.T) {
	for _, tc := range []struct {
		efer     uint64
		csL, csD bool
		want     Mode
	}{
		{0, false, false, Mode16}, {0, false, true, Mode32}, {0, true, false, Mode16},
		{eferLMA, true, false, Mode64}, {eferLMA, false, true, Mode32}, {eferLMA, false, false, Mode16},
	} {
		if got := ModeOf(tc.efer, tc.csL, tc.csD); got != tc.want {
			t.Errorf("EFER %#x, L %v, D %v: %d, want %d", tc.efer, tc.csL, tc.csD, got, tc.want)
		}
	}
}
