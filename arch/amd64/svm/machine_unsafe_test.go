package svm

import (
	"syscall"
	"testing"
	"unsafe"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Physical pages of the synthetic machine. The guest's RAM is from guestRAM to the end.
const (
	pageVMCB  = 0x1000
	pageMSRPM = 0x2000
	pageIOPM  = 0x4000
	pageAPIC  = 0x7000
	pageNPT   = 0x8000 // to 0xBFFF: one table a level
	guestRAM  = 0x10000
	ramPages  = 48
	memory    = guestRAM + ramPages*amd64.PageSize
)

const everyFeature = featNP | featLBRVirt | featNRIPSave | featVMCBClean | featFlushByASID | featDecodeAssists |
	featPauseFilter | featPauseThresh

// machine is physical memory of its own, outside Go's heap, with a virtual processor in it.
func machine(t testing.TB, features uint32, apic uint64) *VCPU {
	t.Helper()
	m, err := syscall.Mmap(-1, 0, memory, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	v := &VCPU{cr4: 1<<11 - 1 | amd64.CR4_PCIDE | amd64.CR4_OSXSAVE | amd64.CR4_SMEP, physBits: 48, hasAux: true}
	cfg := &virt.Config{Control: pageVMCB, MSRBitmap: pageMSRPM, IOBitmap: pageIOPM, NestedRoot: pageNPT, APICPage: apic, ASID: 3}
	if why := v.init(uint64(uintptr(unsafe.Pointer(&m[0]))), cfg, features, 16); why != "" {
		t.Fatal(why)
	}
	// Guest-physical 0 on is RAM in 4 KiB pages, backwards, so that no address is its own.
	table := uint64(pageNPT)
	for i := 0; i < 3; i++ {
		*v.word(table) = EPTE(table+0x1000, 0)
		table += 0x1000
	}
	for i := uint64(0); i < ramPages; i++ {
		*v.word(table + i*8) = EPTE(memory-(i+1)*amd64.PageSize, 1)
	}
	return v
}

// store writes bytes to guest-physical memory.
func store(t testing.TB, v *VCPU, gpa uint64, b ...byte) {
	t.Helper()
	for i, x := range b {
		pa, ok := v.HostPhys(gpa + uint64(i))
		if !ok {
			t.Fatalf("guest-physical %#x isn't mapped", gpa)
		}
		*(*byte)(unsafe.Add(nil, v.mem+pa)) = x
	}
}

// store64 writes a page-table entry of 8 bytes, store32 one of 4.
func store64(t testing.TB, v *VCPU, gpa, x uint64) {
	for i := uint64(0); i < 8; i++ {
		store(t, v, gpa+i, byte(x>>(8*i)))
	}
}

func store32(t testing.TB, v *VCPU, gpa uint64, x uint32) {
	for i := uint64(0); i < 4; i++ {
		store(t, v, gpa+i, byte(x>>(8*i)))
	}
}

func TestVMCBOffsets(t *testing.T) {
	var c VMCB
	for _, f := range []struct {
		name      string
		got, want uintptr
	}{
		{"intercept CR", unsafe.Offsetof(c.InterceptCR), 0x000},
		{"intercept DR", unsafe.Offsetof(c.InterceptDR), 0x004},
		{"intercept exceptions", unsafe.Offsetof(c.InterceptException), 0x008},
		{"intercept 1", unsafe.Offsetof(c.InterceptMisc1), 0x00C},
		{"intercept 2", unsafe.Offsetof(c.InterceptMisc2), 0x010},
		{"intercept 3", unsafe.Offsetof(c.InterceptMisc3), 0x014},
		{"PAUSE filter threshold", unsafe.Offsetof(c.PauseThreshold), 0x03C},
		{"PAUSE filter count", unsafe.Offsetof(c.PauseCount), 0x03E},
		{"IOPM_BASE_PA", unsafe.Offsetof(c.IOPMBase), 0x040},
		{"MSRPM_BASE_PA", unsafe.Offsetof(c.MSRPMBase), 0x048},
		{"TSC_OFFSET", unsafe.Offsetof(c.TSCOffset), 0x050},
		{"ASID", unsafe.Offsetof(c.ASID), 0x058},
		{"TLB_CONTROL", unsafe.Offsetof(c.TLBControl), 0x05C},
		{"V_TPR", unsafe.Offsetof(c.VIntr), 0x060},
		{"INTERRUPT_SHADOW", unsafe.Offsetof(c.IntShadow), 0x068},
		{"EXITCODE", unsafe.Offsetof(c.ExitCode), 0x070},
		{"EXITINFO1", unsafe.Offsetof(c.ExitInfo1), 0x078},
		{"EXITINFO2", unsafe.Offsetof(c.ExitInfo2), 0x080},
		{"EXITINTINFO", unsafe.Offsetof(c.ExitIntInfo), 0x088},
		{"NP_ENABLE", unsafe.Offsetof(c.NestedControl), 0x090},
		{"AVIC APIC_BAR", unsafe.Offsetof(c.AVICBar), 0x098},
		{"GHCB", unsafe.Offsetof(c.GHCB), 0x0A0},
		{"EVENTINJ", unsafe.Offsetof(c.EventInj), 0x0A8},
		{"N_CR3", unsafe.Offsetof(c.NCR3), 0x0B0},
		{"LBR_VIRTUALIZATION_ENABLE", unsafe.Offsetof(c.LBRControl), 0x0B8},
		{"VMCB clean bits", unsafe.Offsetof(c.Clean), 0x0C0},
		{"nRIP", unsafe.Offsetof(c.NRIP), 0x0C8},
		{"bytes fetched", unsafe.Offsetof(c.InsnLen), 0x0D0},
		{"guest instruction bytes", unsafe.Offsetof(c.Insn), 0x0D1},
		{"AVIC APIC_BACKING_PAGE", unsafe.Offsetof(c.AVICBackingPage), 0x0E0},
		{"AVIC LOGICAL_TABLE", unsafe.Offsetof(c.AVICLogical), 0x0F0},
		{"AVIC PHYSICAL_TABLE", unsafe.Offsetof(c.AVICPhysical), 0x0F8},
		{"ES", unsafe.Offsetof(c.ES), 0x400},
		{"CS", unsafe.Offsetof(c.CS), 0x410},
		{"SS", unsafe.Offsetof(c.SS), 0x420},
		{"DS", unsafe.Offsetof(c.DS), 0x430},
		{"FS", unsafe.Offsetof(c.FS), 0x440},
		{"GS", unsafe.Offsetof(c.GS), 0x450},
		{"GDTR", unsafe.Offsetof(c.GDTR), 0x460},
		{"LDTR", unsafe.Offsetof(c.LDTR), 0x470},
		{"IDTR", unsafe.Offsetof(c.IDTR), 0x480},
		{"TR", unsafe.Offsetof(c.TR), 0x490},
		{"CPL", unsafe.Offsetof(c.CPL), 0x4CB},
		{"EFER", unsafe.Offsetof(c.EFER), 0x4D0},
		{"CR4", unsafe.Offsetof(c.CR4), 0x548},
		{"CR3", unsafe.Offsetof(c.CR3), 0x550},
		{"CR0", unsafe.Offsetof(c.CR0), 0x558},
		{"DR7", unsafe.Offsetof(c.DR7), 0x560},
		{"DR6", unsafe.Offsetof(c.DR6), 0x568},
		{"RFLAGS", unsafe.Offsetof(c.RFLAGS), 0x570},
		{"RIP", unsafe.Offsetof(c.RIP), 0x578},
		{"RSP", unsafe.Offsetof(c.RSP), 0x5D8},
		{"S_CET", unsafe.Offsetof(c.SCET), 0x5E0},
		{"SSP", unsafe.Offsetof(c.SSP), 0x5E8},
		{"ISST_ADDR", unsafe.Offsetof(c.ISSTAddr), 0x5F0},
		{"RAX", unsafe.Offsetof(c.RAX), 0x5F8},
		{"STAR", unsafe.Offsetof(c.STAR), 0x600},
		{"LSTAR", unsafe.Offsetof(c.LSTAR), 0x608},
		{"CSTAR", unsafe.Offsetof(c.CSTAR), 0x610},
		{"SFMASK", unsafe.Offsetof(c.SFMASK), 0x618},
		{"KernelGsBase", unsafe.Offsetof(c.KernelGSBase), 0x620},
		{"SYSENTER_CS", unsafe.Offsetof(c.SysenterCS), 0x628},
		{"SYSENTER_ESP", unsafe.Offsetof(c.SysenterESP), 0x630},
		{"SYSENTER_EIP", unsafe.Offsetof(c.SysenterEIP), 0x638},
		{"CR2", unsafe.Offsetof(c.CR2), 0x640},
		{"G_PAT", unsafe.Offsetof(c.GPAT), 0x668},
		{"DBGCTL", unsafe.Offsetof(c.DebugCtl), 0x670},
		{"BR_FROM", unsafe.Offsetof(c.BranchFrom), 0x678},
		{"BR_TO", unsafe.Offsetof(c.BranchTo), 0x680},
		{"LASTEXCPFROM", unsafe.Offsetof(c.LastExcpFrom), 0x688},
		{"LASTEXCPTO", unsafe.Offsetof(c.LastExcpTo), 0x690},
		{"SPEC_CTRL", unsafe.Offsetof(c.SpecCtrl), 0x6E0},
		{"segment base", unsafe.Offsetof(c.ES.Base), 8},
		{"segment limit", unsafe.Offsetof(c.ES.Limit), 4},
		{"segment attributes", unsafe.Offsetof(c.ES.Attrib), 2},
		{"the whole", unsafe.Sizeof(c), amd64.PageSize},
	} {
		if f.got != f.want {
			t.Errorf("%s is at %#x, want %#x", f.name, f.got, f.want)
		}
	}
}
