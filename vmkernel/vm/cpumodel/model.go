package cpumodel

import (
	"encoding/binary"
	"math/bits"

	"keel/vmkernel/sys"
)

var le = binary.LittleEndian

// Components of XCR0 and their sizes in an XSAVE area of the standard format (SDM 1 13.4).
const (
	stateX87  = 1 << 0
	stateSSE  = 1 << 1
	stateAVX  = 1 << 2
	sizeBase  = 512 + 64 // legacy region and header: x87 and SSE
	sizeAVX   = 256
	offsetAVX = sizeBase
)

// Processors as leaf 1 EAX names them.
const (
	haswell = 0x0003_06C3 // family 6, model 3CH, stepping 3
	rome    = 0x0083_0F10 // family 17H, model 31H, stepping 0
)

// Brand is the processor's name.
const Brand = "Keel vCPU"

// Signatures of the hypervisor leaf. Guests don't know the one of Intel hosts, and so use what the
// processor itself offers; under AMD-V Linux 6.1 learns the TSC's frequency from kvmclock only.
const (
	signatureKeel = "KeelKeelKeel"
	signatureKVM  = "KVMKVMKVM\x00\x00\x00"
)

// Features of the KVM signature (Linux Documentation/virt/kvm/x86/cpuid.rst).
const kvmClock = 1<<0 | 1<<3 | 1<<24 // both numberings of the MSRs; stable between processors

// Build is the model for a VM with cpus processors (1 to sys.MaxVCPUs) on a host with VT-x
// (sys.VirtVTX: GenuineIntel) or AMD-V (sys.VirtAMDV: AuthenticAMD), whose CPUID host is and whose
// time-stamp counter runs at tscHz, as the guest's and its local APIC's clock do. kvmclock says that
// the MSRs of kvmclock must be there. There are at most sys.MaxCPUIDEntries entries, ascending.
func Build(virt uint64, host func(leaf, sub uint32) (a, b, c, d uint32), cpus int, tscHz uint64) (entries []sys.CPUIDEntry, kvmclock bool) {
	cpus = min(max(cpus, 1), sys.MaxVCPUs)
	m := &model{host: host, cpus: uint32(cpus), tscHz: tscHz, intel: virt == sys.VirtVTX}
	m.shift = uint32(bits.Len32(m.cpus - 1))
	m.on = offered(m.ask)
	m.basic()
	m.hypervisor()
	m.extended()
	return m.entries, !m.intel
}

// A model is a Build under way.
type model struct {
	host    func(leaf, sub uint32) (a, b, c, d uint32)
	cpus    uint32
	shift   uint32 // bits of an APIC ID that number the processors
	tscHz   uint64
	intel   bool
	on      []bool // by index into features
	entries []sys.CPUIDEntry
}

// ask is the host's leaf, zero where it has none: processors answer for those with another's.
func (m *model) ask(leaf, sub uint32) [4]uint32 {
	if last, _, _, _ := m.host(leaf&0x8000_0000, 0); leaf > last {
		return [4]uint32{}
	}
	a, b, c, d := m.host(leaf, sub)
	return [4]uint32{a, b, c, d}
}

// features are the offered bits of a register.
func (m *model) features(leaf, sub uint32, reg Register) uint32 {
	var v uint32
	for i, f := range features {
		if m.on[i] && f.Leaf == leaf && f.Sub == sub && f.Reg == reg {
			v |= 1 << f.Bit
		}
	}
	return v
}

func (m *model) leaf(leaf, a, b, c, d uint32) {
	m.entries = append(m.entries, sys.CPUIDEntry{Leaf: leaf, EAX: a, EBX: b, ECX: c, EDX: d})
}

func (m *model) subleaf(leaf, sub, a, b, c, d uint32) {
	m.entries = append(m.entries, sys.CPUIDEntry{Leaf: leaf, Subleaf: sub, Indexed: 1, EAX: a, EBX: b, ECX: c, EDX: d})
}

// text is the 12 characters of a vendor or signature, in the order of the registers given.
func text(s string) (first, second, third uint32) {
	b := []byte(s)
	return le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
}

// vendor is EBX, ECX and EDX of leaf 0.
func (m *model) vendor() (b, c, d uint32) {
	if m.intel {
		b, d, c = text("GenuineIntel")
	} else {
		b, d, c = text("AuthenticAMD")
	}
	return
}

// basic adds the leaves from 0 on.
func (m *model) basic() {
	b, c, d := m.vendor()
	last, signature := uint32(0xD), uint32(rome)
	logical := m.cpus
	if m.intel {
		last, signature = 0x16, haswell
		logical = 1 << m.shift
	}
	m.leaf(0, last, b, c, d)

	edx := m.features(1, 0, EDX)
	if m.cpus > 1 {
		edx |= 1 << 28 // HTT: EBX has the number of processors
	}
	const clflushLine = 8 // of 8 bytes
	m.leaf(1, signature, clflushLine<<8|logical<<16, m.features(1, 0, ECX), edx)
	if m.intel {
		m.leaf(2, 0x7603_6301, 0x00F0_B5FF, 0, 0x00C1_0000) // TLBs of Haswell; caches: leaf 4
		m.caches()
	}
	m.leaf(6, m.features(6, 0, EAX), 0, 0, 0)
	m.subleaf(7, 0, 0, m.features(7, 0, EBX), m.features(7, 0, ECX), m.features(7, 0, EDX))
	m.topology()
	m.xsave()
	if m.intel {
		m.frequency()
	}
}

// caches adds leaf 4: those of a core, and one that all share.
func (m *model) caches() {
	const (
		data, instruction, unified = 1, 2, 3
		line                       = 64
		initialising               = 1 << 8
		inclusive                  = 1 << 1
	)
	cores := uint32(1)<<m.shift - 1
	for i, k := range []struct{ kind, level, ways, sets, sharers, flags uint32 }{
		{data, 1, 8, 64, 0, 0},
		{instruction, 1, 8, 64, 0, 0},
		{unified, 2, 8, 512, 0, 0},
		{unified, 3, 16, 8192, cores, inclusive},
	} {
		m.subleaf(4, uint32(i), k.kind|k.level<<5|initialising|k.sharers<<14|cores<<26,
			(k.ways-1)<<22|(line-1), k.sets-1, k.flags)
	}
}

// topology adds leaf 0BH: one thread a core, all cores in one package.
func (m *model) topology() {
	const thread, core = 1 << 8, 2 << 8
	m.subleaf(0xB, 0, 0, 1, thread, 0)
	m.subleaf(0xB, 1, m.shift, m.cpus, core|1, 0)
}

// xsave adds leaf 0DH.
func (m *model) xsave() {
	ecx := m.features(1, 0, ECX)
	const bitXSAVE, bitAVX = 1 << 26, 1 << 28
	if ecx&bitXSAVE == 0 {
		return
	}
	xcr0, size := uint32(stateX87|stateSSE), uint32(sizeBase)
	if ecx&bitAVX != 0 {
		xcr0, size = xcr0|stateAVX, size+sizeAVX
	}
	m.subleaf(0xD, 0, xcr0, size, size, 0)
	m.subleaf(0xD, 1, m.features(0xD, 1, EAX), 0, 0, 0)
	if xcr0&stateAVX != 0 {
		m.subleaf(0xD, 2, sizeAVX, offsetAVX, 0, 0)
	}
}

// frequency adds leaves 15H and 16H. The crystal is the TSC itself, so that the ratio is 1 and
// Linux gets the local APIC's clock, which it takes for the crystal's, right as well; only a TSC
// that ECX can't hold needs a ratio, and then guests that use it have the TSC deadline.
func (m *model) frequency() {
	ratio := m.tscHz>>32 + 1
	m.leaf(0x15, 1, uint32(ratio), uint32(m.tscHz/ratio), 0)
	mhz := uint32(min((m.tscHz+500_000)/1_000_000, 0xFFFF))
	m.leaf(0x16, mhz, mhz, 100, 0)
}

// hypervisor adds the leaves from 40000000H on.
func (m *model) hypervisor() {
	if m.intel {
		b, c, d := text(signatureKeel)
		m.leaf(0x4000_0000, 0x4000_0000, b, c, d)
		return
	}
	b, c, d := text(signatureKVM)
	m.leaf(0x4000_0000, 0x4000_0001, b, c, d)
	m.leaf(0x4000_0001, kvmClock, 0, 0, 0)
}

// extended adds the leaves from 80000000H on.
func (m *model) extended() {
	const last = 0x8000_0008
	ecx, edx := m.features(0x8000_0001, 0, ECX), m.features(0x8000_0001, 0, EDX)
	if m.intel {
		m.leaf(0x8000_0000, last, 0, 0, 0)
		m.leaf(0x8000_0001, 0, 0, ecx, edx)
	} else {
		const (
			same      = 0x0183_F3FF // bits of leaf 1 EDX that AMD repeats
			cmpLegacy = 1 << 1      // the processors are cores
		)
		if m.cpus > 1 {
			ecx |= cmpLegacy
		}
		b, c, d := m.vendor()
		m.leaf(0x8000_0000, last, b, c, d)
		m.leaf(0x8000_0001, rome, 0, ecx, edx|m.features(1, 0, EDX)&same)
	}
	var brand [48]byte
	copy(brand[:], Brand)
	for i := range uint32(3) {
		w := brand[16*i:]
		m.leaf(0x8000_0002+i, le.Uint32(w), le.Uint32(w[4:]), le.Uint32(w[8:]), le.Uint32(w[12:]))
	}
	if m.intel {
		m.leaf(0x8000_0006, 0, 0, 256<<16|6<<12|64, 0) // L2: 256 KiB, 8 ways, lines of 64 bytes
	} else {
		// L1: 32 KiB and 8 ways each, L2: 512 KiB, 8 ways, L3: 16 units of 512 KiB, 16 ways; 64
		// entries of TLB.
		m.leaf(0x8000_0005, 0xFF40_FF40, 0xFF40_FF40, 32<<24|8<<16|1<<8|64, 32<<24|8<<16|1<<8|64)
		m.leaf(0x8000_0006, 0, 0, 512<<16|6<<12|1<<8|64, 16<<18|8<<12|1<<8|64)
	}
	m.leaf(0x8000_0007, 0, 0, 0, m.features(0x8000_0007, 0, EDX))

	// Tables of four levels reach 48 bits, so no guest-physical address is above.
	const leastPhysical, most = 36, 48
	physical := min(max(m.ask(last, 0)[EAX]&0xFF, leastPhysical), most)
	cores := uint32(0)
	if !m.intel {
		cores = m.shift<<12 | (m.cpus - 1)
	}
	m.leaf(last, physical|most<<8, 0, cores, 0)
}
