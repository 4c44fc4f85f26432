package core

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

const maxCPUs = 64

// A context is the processor state of a world that isn't running. Assembly knows its layout
// through go_asm.h.
type context struct {
	gpr    [16]uint64 // in encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8..R15
	rip    uint64
	rflags uint64
	fsBase uint64
	// full is how it left the processor: 0 by a system call (vector registers, RCX and R11 are
	// dead), fullInt with all general registers, fullVec with the vector registers as well.
	full  uint64
	_     [4]uint64
	xsave [xsaveSize]byte // at a multiple of 64
}

const (
	fullInt = 1
	fullVec = 2
	// xsaveSize holds x87, SSE and AVX state in the standard format (SDM 1 13.4).
	xsaveSize = 512 + 64 + 256
	xcr0Host  = virt.HostXCR0
)

// A fakeG is what the Go compiler's code expects at R14 and in thread-local storage: the bounds of
// the stack, and a nil m.
type fakeG struct {
	lo, hi, guard0, guard1 uintptr
	rest                   [60]uint64
}

// stackGuard is the distance from a lower-half stack's end at which functions refuse to go on, as
// the runtime has it for its own (928 bytes, rounded up).
const stackGuard = 1024

func (g *fakeG) set(lo, hi uintptr) {
	g.lo, g.hi, g.guard0, g.guard1 = lo, hi, lo+stackGuard, lo+stackGuard
}

// A cpu is what the lower half keeps of a processor. GS points at it whenever Keel's own code
// runs. Only its own processor touches it, but for the fields that say otherwise.
type cpu struct {
	self     uintptr
	scratch  uint64
	stackTop uintptr
	tls      uintptr // FS base of the lower half: the end of g's slot
	world    uintptr // the thread that left-for or comes from the upper half, 0 where none
	pending  [4]uint64
	nmis     uint64
	stop     uint64 // set by another processor before its NMI: halt for ever

	id     uint32
	apicID uint32
	gSlot  uintptr // what FS:-8 reads...
	tlsEnd uint64  // ...where FS points here
	g      fakeG
	gdt    [8]uint64
	tss    [14]uint64 // SDM 3A figure 8-11: 104 bytes, with words of 32 bits
	desc   [2]uint64  // pseudo-descriptor for LGDT and LIDT

	// Another processor counts flushAsked up to have CR3 reloaded, and waits for flushDone.
	flushAsked, flushDone uint32

	online  uint32
	kicked  uint32 // set by another processor: look around, see kick
	repick  uint32 // set by another processor: ask the policy
	idling  uint32 // read by others without the lock
	resched bool   // the processor's own: ask the policy
	current uint32 // the world that it runs, 0 when idle: the scheduler's lock protects it
	lent    uint32 // the virtual processor's world in whose name current, a thread, runs: see settle
	owner   uint32 // 1 + the machine that has the processor for itself, 0 none: likewise, but for those who look only
	asked   uint64 // time-stamp counter when the switch began that isn't complete yet, 0: none
	between bool   // that switch is from a guest to another
	armed   uint64 // ns for which the timer is set, 0: not
	timers  timerHeap
	counter counters

	vmcs      uintptr // the vcpu whose VMCS is current, 0 where it isn't known
	rest      uintptr // the same where only the processor has what vmx.SaveRest saves, else 0
	peek      uint64  // host TSC from which on an exit lets the host's interrupts in, see holdNS
	clearVCPU uintptr // set by another processor: write this vcpu's control structure back

	unmapped [flushBatch]uint64 // frames on their way out, see unback
}

// counters of a processor, for `ready` and the tests.
type counters struct {
	syscalls, interrupts, faults, switches, ipis uint64
	decisions, decisionTicks, switchTicks        uint64
}

var (
	cpus  [maxCPUs]cpu
	nCPUs = 1

	has1G     bool
	hasRDRAND bool
	hasX2APIC bool
	hasTSCDL  bool
	useFSGS   byte // read by assembly
	hasXSAVE  byte // read by assembly
	isAMD     bool
	physBits  uint
	bootG     fakeG
	bootGPtr  [2]uint64
	bootStack [32 << 10]byte
	xcr0      uint64 // the state components that the upper half may use
)

// gsBase and this processor.
func me() *cpu { return at[cpu](gsSelf()) }

func gsSelf() uintptr

// IST indices of the task-state segment (SDM 3A 6.14.5).
const (
	istShared = 1 // what can't nest: interrupts and most exceptions
	istNMI    = 2
	istDouble = 3
	istMCE    = 4
	istDebug  = 5
	istPage   = 6
)

// prepare makes the descriptor tables and stacks of a processor: GDT, TSS with a stack for each
// IST. Any processor may do it.
func (c *cpu) prepare() {
	c.self = addrOf(c)
	c.gSlot = addrOf(&c.g)
	c.tls = addrOf(&c.tlsEnd)
	lo, hi := newStack(8)
	c.g.set(lo, hi)
	c.stackTop = hi
	c.timers.prepare()

	tss := addrOf(&c.tss)
	for ist := istShared; ist <= istPage; ist++ {
		_, top := newStack(1)
		// The TSS has RSP0 at 4 and IST1 at 0x24 (SDM 3A 8.7): words of 32 bits.
		*at[uint32](tss + uintptr(0x24+8*(ist-1))) = uint32(top)
		*at[uint32](tss + uintptr(0x28+8*(ist-1))) = uint32(top >> 32)
	}
	*at[uint32](tss + 0x64) = 0x68 << 16 // no I/O map

	c.gdt[1] = 0x00AF9B000000FFFF
	c.gdt[2] = 0x00CF93000000FFFF
	c.gdt[3] = 0x00CF9B000000FFFF // 32-bit code, for starting a processor
	b := uint64(tss)
	c.gdt[5] = 0x67 | b&0xFFFFFF<<16 | 0x89<<40 | b>>24&0xFF<<56
	c.gdt[6] = b >> 32
}

// load makes the calling processor c's.
func (c *cpu) load() {
	desc := addrOf(&c.desc)
	setDescriptor(desc, addrOf(&c.gdt), 8*8-1)
	amd64.LGDT(desc)
	amd64.LoadSegments(amd64.CodeSelector, amd64.DataSelector)
	amd64.LTR(amd64.TSSSelector)
	setDescriptor(desc, addrOf(&idt), 256*16-1)
	amd64.LIDT(desc)
	amd64.WRMSR(amd64.MSR_GS_BASE, uint64(c.self))
	amd64.WRMSR(amd64.MSR_KERNEL_GS_BASE, 0)
	amd64.WRMSR(amd64.MSR_FS_BASE, uint64(c.tls))
	c.initControl()
}

// setDescriptor fills the 10 bytes that LGDT and LIDT read.
func setDescriptor(desc, base uintptr, limit uint16) {
	*at[uint16](desc) = limit
	for i := uintptr(0); i < 4; i++ {
		*at[uint16](desc + 2 + 2*i) = uint16(base >> (16 * i))
	}
}

// initControl sets the control registers and MSRs of a processor.
func (c *cpu) initControl() {
	cr4 := amd64.ReadCR4() | amd64.CR4_PAE | amd64.CR4_OSFXSR | amd64.CR4_OSXMMEXCPT | amd64.CR4_PGE | amd64.CR4_MCE | amd64.CR4_DE
	_, _, ecx, _ := amd64.CPUID(1, 0)
	xsave := ecx&(1<<26) != 0
	if xsave {
		hasXSAVE = 1
		cr4 |= amd64.CR4_OSXSAVE
	}
	if max, _, _, _ := amd64.CPUID(0, 0); max >= 7 {
		_, ebx, ecx, _ := amd64.CPUID(7, 0)
		if ebx&(1<<0) != 0 {
			cr4 |= amd64.CR4_FSGSBASE
			useFSGS = 1
		}
		if ebx&(1<<7) != 0 {
			cr4 |= amd64.CR4_SMEP
		}
		if ebx&(1<<20) != 0 {
			cr4 |= amd64.CR4_SMAP
		}
		if ecx&(1<<2) != 0 {
			cr4 |= amd64.CR4_UMIP
		}
	}
	amd64.WriteCR4(cr4)
	if xsave {
		xcr0 = xcr0Host & supportedXCR0()
		amd64.XSETBV(xcr0)
	}
	amd64.WriteCR0(amd64.ReadCR0()&^(amd64.CR0_EM|amd64.CR0_TS|amd64.CR0_CD|amd64.CR0_NW) | amd64.CR0_MP | amd64.CR0_NE | amd64.CR0_WP)
	amd64.WRMSR(amd64.MSR_EFER, amd64.RDMSR(amd64.MSR_EFER)|amd64.EFER_SCE|amd64.EFER_NXE)
	c.loadSyscallMSRs()
	resetFPU()
	amd64.WRMSR(amd64.MSR_PAT, pageAttributes)
}

// pageAttributes is IA32_PAT (SDM 3A 13.12.2) as the processor starts with it, but for entry 1: PWT
// alone is write combining, not writing through.
const pageAttributes = 0x0007_0406_0007_0106

// loadSyscallMSRs points SYSCALL at this kernel: it stays in ring 0 and masks interrupts.
func (c *cpu) loadSyscallMSRs() {
	amd64.WRMSR(amd64.MSR_STAR, amd64.CodeSelector<<32)
	amd64.WRMSR(amd64.MSR_LSTAR, uint64(syscallEntryPC()))
	amd64.WRMSR(amd64.MSR_SFMASK, 0x4_7700) // AC, NT, OF, DF, IF, TF
}

func syscallEntryPC() uintptr
func resetFPU()
func fence()

func supportedXCR0() uint64 {
	eax, _, _, edx := amd64.CPUID(13, 0)
	return uint64(edx)<<32 | uint64(eax)
}

// identify reads what the processor is. It runs once, before the other processors are started.
func identify() {
	_, ebx, _, _ := amd64.CPUID(0, 0)
	isAMD = ebx == 0x68747541 || ebx == 0x6F677948 // "Auth", "Hygo"
	_, _, ecx, _ := amd64.CPUID(1, 0)
	hasX2APIC = ecx&(1<<21) != 0
	hasTSCDL = ecx&(1<<24) != 0
	hasRDRAND = ecx&(1<<30) != 0
	if ecx&(1<<31) != 0 { // a hypervisor is below
		lockTries = hypervisorTries
	}
	ext, _, _, _ := amd64.CPUID(0x8000_0000, 0)
	physBits = 36
	if ext >= 0x8000_0001 {
		_, _, _, edx := amd64.CPUID(0x8000_0001, 0)
		has1G = edx&(1<<26) != 0
	}
	if ext >= 0x8000_0008 {
		eax, _, _, _ := amd64.CPUID(0x8000_0008, 0)
		physBits = uint(eax & 0xFF)
	}
}
