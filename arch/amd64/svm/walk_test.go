package svm

import (
	"testing"

	"keel/arch/amd64"
)

func TestHostPhys(t *testing.T) {
	v := machine(t, 0, 0)
	*v.word(pageNPT + 0x1000 + 5*8) = EPTE(0x40000000, 3) // PDPT: 1 GiB at 5 GiB
	*v.word(pageNPT + 0x2000 + 7*8) = EPTE(0x0AC00000, 2) // PD: 2 MiB at 14 MiB
	*v.word(pageNPT + 0x2000 + 8*8) = EPTE(0x0AC00000, 2) &^ amd64.PTE_P
	for _, c := range []struct {
		gpa, want uint64
		ok        bool
	}{
		{0x123, memory - 0x1000 + 0x123, true},
		{0x5008, memory - 0x6000 + 8, true},
		{5<<30 | 0x12345678, 0x40000000 | 0x12345678, true},
		{14<<20 | 0x1FFFFF, 0x0ADFFFFF, true},
		{16 << 20, 0, false},
		{1 << 39, 0, false},
		{1<<48 | 0x123, 0, false},
		{^uint64(0), 0, false},
	} {
		if got, ok := v.HostPhys(c.gpa); ok != c.ok || got != c.want {
			t.Errorf("%#x is at %#x, %v, want %#x, %v", c.gpa, got, ok, c.want, c.ok)
		}
	}
}

func TestGuestPhys(t *testing.T) {
	const p, ps = amd64.PTE_P, amd64.PTE_PS
	v := machine(t, 0, 0)
	c := v.vmcb()
	set := func(cr0, cr3, cr4, efer uint64) { c.CR0, c.CR3, c.CR4, c.EFER = cr0, cr3, cr4, efer }
	check := func(mode string, linear, want uint64, wantOK bool) {
		t.Helper()
		if got, ok := v.GuestPhys(linear); ok != wantOK || ok && got != want {
			t.Errorf("%s: %#x is at %#x, %v, want %#x, %v", mode, linear, got, ok, want, wantOK)
		}
	}

	set(amd64.CR0_PE, 0, 0, 0)
	check("no paging", 0x1_2345_6789, 0x2345_6789, true)

	set(amd64.CR0_PE|amd64.CR0_PG, 0x4000|0xFFF, amd64.CR4_PAE, amd64.EFER_LMA|amd64.EFER_LME) // low bits: PCID
	store64(t, v, 0x4000+511*8, 0x5000|p)
	store64(t, v, 0x5000+510*8, 0x6000|p)
	store64(t, v, 0x6000+8*8, 0x7000|p|1<<63)
	store64(t, v, 0x7000+1*8, 0x9000|p)
	store64(t, v, 0x6000+9*8, 0x1200000|p|ps|1<<12)
	store64(t, v, 0x5000+511*8, 0x80000000|p|ps)
	store64(t, v, 0x6000+10*8, 0xFFFF_F000_0000|p) // a table where no RAM is
	check("4 KiB", 0xFFFF_FFFF_8100_1ABC, 0x9ABC, true)
	check("2 MiB", 0xFFFF_FFFF_8132_1ABC, 0x1321ABC, true)
	check("1 GiB", 0xFFFF_FFFF_C032_1ABC, 0x80321ABC, true)
	check("absent", 0xFFFF_FFFF_8100_2ABC, 0, false)
	check("table outside RAM", 0xFFFF_FFFF_8140_0000, 0, false)
	check("not canonical", 0x0000_FFFF_8100_1ABC, 0, false)

	set(amd64.CR0_PE|amd64.CR0_PG, 0xA020, amd64.CR4_PAE, 0)
	store64(t, v, 0xA020+3*8, 0xB000|p)
	store64(t, v, 0xB000+2*8, 0xC000|p)
	store64(t, v, 0xC000+4*8, 0xD000|p)
	store64(t, v, 0xB000+3*8, 0x1_0020_0000|p|ps)
	check("PAE 4 KiB", 0xC0404567, 0xD567, true)
	check("PAE 2 MiB", 0x1_C0612345, 0x1_00212345, true)
	check("PAE absent", 0x00404567, 0, false)

	set(amd64.CR0_PE|amd64.CR0_PG, 0xE000, amd64.CR4_PSE, 0)
	store32(t, v, 0xE000+0x301*4, 0xF000|p)
	store32(t, v, 0xF000+5*4, 0x3000|p)
	store32(t, v, 0xE000+0x302*4, 0x00C00000|p|ps|0x12<<13)
	check("32-bit 4 KiB", 0xC0405678, 0x3678, true)
	check("32-bit 4 MiB", 0xC0912345, 0x12_00D12345, true)
	check("32-bit absent", 0xC0406678, 0, false)
	c.CR4 = 0
	check("32-bit without PSE", 0xC0912345, 0, false)
}

func TestFetch(t *testing.T) {
	v := machine(t, everyFeature, 0)
	c := v.vmcb()
	c.CR0 = amd64.CR0_PE
	// Across a page boundary, in pages that aren't neighbours in physical memory.
	store(t, v, 0x1FFD, 0xB8, 1, 2, 3, 4, 0xF4)
	c.RIP, c.CS.Base = 0xFFD, 0x1000
	lo, hi, n := v.Fetch()
	if lo != 0xF4_04030201B8 || hi != 0 || n != 15 {
		t.Errorf("fetched %#x, %#x, %d", lo, hi, n)
	}
	// Into what isn't mapped.
	store(t, v, ramPages*amd64.PageSize-2, 0x0F, 0xA2)
	c.RIP, c.CS.Base = ramPages*amd64.PageSize-2, 0
	if lo, _, n := v.Fetch(); lo != 0xA20F || n != 2 {
		t.Errorf("fetched %#x, %d", lo, n)
	}
	// All sixteen bytes in place.
	for i := byte(0); i < 15; i++ {
		store(t, v, 0x3001+uint64(i), 0x10+i)
	}
	c.RIP = 0x3001
	if lo, hi, n := v.Fetch(); lo != 0x1716151413121110 || hi != 0x1E1D1C1B1A1918 || n != 15 {
		t.Errorf("fetched %#x, %#x, %d", lo, hi, n)
	}
	// As the processor gives it.
	c.ExitCode, c.InsnLen, c.Insn[0], c.Insn[8] = exitNPF, 9, 0x8B, 0x77
	if lo, hi, n := v.Fetch(); lo != 0x8B || hi != 0x77 || n != 9 {
		t.Errorf("fetched %#x, %#x, %d", lo, hi, n)
	}
}

// A guest's page tables can hold anything: no walk may leave its RAM, which the end of the mapping
// behind it would show.
func FuzzGuestPhys(f *testing.F) {
	f.Add([]byte{0x03, 0x10, 0, 0, 0, 0, 0, 0}, uint64(0), uint64(0x1000), uint8(1))
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, ^uint64(0), ^uint64(0), uint8(2))
	f.Fuzz(func(t *testing.T, tables []byte, linear, cr3 uint64, mode uint8) {
		v := machine(t, 0, 0)
		c := v.vmcb()
		c.CR3, c.CR0, c.RIP = cr3, amd64.CR0_PE|amd64.CR0_PG, linear
		switch mode % 3 {
		case 1:
			c.CR4 = amd64.CR4_PAE
		case 2:
			c.CR4, c.EFER, c.CS.Attrib = amd64.CR4_PAE, amd64.EFER_LMA, attribL
		}
		for i := uint64(0); len(tables) > 0 && i < ramPages*amd64.PageSize; i++ {
			*v.word((guestRAM + i) &^ 7) |= uint64(tables[i%uint64(len(tables))]) << (i & 7 * 8)
		}
		v.GuestPhys(linear)
		if _, _, n := v.Fetch(); n > maxInsn {
			t.Errorf("fetched %d bytes", n)
		}
	})
}
