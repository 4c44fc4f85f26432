package cpumodel

// A Register is one of the four that CPUID returns.
type Register uint8

// Registers.
const (
	EAX Register = iota
	EBX
	ECX
	EDX
)

func (r Register) String() string { return [...]string{"EAX", "EBX", "ECX", "EDX"}[r&3] }

// An Origin says on what offering a feature depends.
type Origin uint8

// Origins of features.
const (
	FromHost Origin = iota // offered where the host has it
	Always                 // Keel makes it: offered whatever the host has
)

// A Feature is a feature bit that guests may see.
type Feature struct {
	Name   string
	Leaf   uint32
	Sub    uint32
	Reg    Register
	Bit    uint8
	Origin Origin
	Needs  string // the name of a feature above that it depends on
	State  string // what state it brings, and so what is switched; "" for none
}

// features is the allow-list. What isn't in it no guest sees.
var features = []Feature{
	{Name: "FPU", Leaf: 1, Reg: EDX, Bit: 0, State: "x87"},
	{Name: "DE", Leaf: 1, Reg: EDX, Bit: 2, State: "CR4.DE, debug registers"},
	{Name: "PSE", Leaf: 1, Reg: EDX, Bit: 3, State: "CR4.PSE"},
	{Name: "TSC", Leaf: 1, Reg: EDX, Bit: 4, State: "TSC offset"},
	{Name: "MSR", Leaf: 1, Reg: EDX, Bit: 5},
	{Name: "PAE", Leaf: 1, Reg: EDX, Bit: 6, State: "CR4.PAE"},
	{Name: "CX8", Leaf: 1, Reg: EDX, Bit: 8},
	{Name: "APIC", Leaf: 1, Reg: EDX, Bit: 9, Origin: Always, State: "local APIC"},
	{Name: "SEP", Leaf: 1, Reg: EDX, Bit: 11, State: "SYSENTER MSRs"},
	{Name: "PGE", Leaf: 1, Reg: EDX, Bit: 13, State: "CR4.PGE"},
	{Name: "CMOV", Leaf: 1, Reg: EDX, Bit: 15},
	{Name: "PAT", Leaf: 1, Reg: EDX, Bit: 16, State: "PAT"},
	{Name: "PSE36", Leaf: 1, Reg: EDX, Bit: 17},
	{Name: "CLFSH", Leaf: 1, Reg: EDX, Bit: 19},
	{Name: "MMX", Leaf: 1, Reg: EDX, Bit: 23, State: "x87"},
	{Name: "FXSR", Leaf: 1, Reg: EDX, Bit: 24, State: "CR4.OSFXSR"},
	{Name: "SSE", Leaf: 1, Reg: EDX, Bit: 25, State: "SSE"},
	{Name: "SSE2", Leaf: 1, Reg: EDX, Bit: 26, State: "SSE"},
	{Name: "SSE3", Leaf: 1, Reg: ECX, Bit: 0, State: "SSE"},
	{Name: "PCLMULQDQ", Leaf: 1, Reg: ECX, Bit: 1, State: "SSE"},
	{Name: "SSSE3", Leaf: 1, Reg: ECX, Bit: 9, State: "SSE"},
	{Name: "CX16", Leaf: 1, Reg: ECX, Bit: 13},
	{Name: "PCID", Leaf: 1, Reg: ECX, Bit: 17, State: "CR4.PCIDE"},
	{Name: "SSE4_1", Leaf: 1, Reg: ECX, Bit: 19, State: "SSE"},
	{Name: "SSE4_2", Leaf: 1, Reg: ECX, Bit: 20, State: "SSE"},
	{Name: "X2APIC", Leaf: 1, Reg: ECX, Bit: 21, Origin: Always, State: "local APIC"},
	{Name: "MOVBE", Leaf: 1, Reg: ECX, Bit: 22},
	{Name: "POPCNT", Leaf: 1, Reg: ECX, Bit: 23},
	{Name: "TSC_DEADLINE", Leaf: 1, Reg: ECX, Bit: 24, Origin: Always, State: "local APIC"},
	{Name: "AES", Leaf: 1, Reg: ECX, Bit: 25, State: "SSE"},
	{Name: "XSAVE", Leaf: 1, Reg: ECX, Bit: 26, State: "CR4.OSXSAVE, XCR0"},
	{Name: "AVX", Leaf: 1, Reg: ECX, Bit: 28, Needs: "XSAVE", State: "AVX"},
	{Name: "FMA", Leaf: 1, Reg: ECX, Bit: 12, Needs: "AVX", State: "AVX"},
	{Name: "F16C", Leaf: 1, Reg: ECX, Bit: 29, Needs: "AVX", State: "AVX"},
	{Name: "RDRAND", Leaf: 1, Reg: ECX, Bit: 30},
	{Name: "HYPERVISOR", Leaf: 1, Reg: ECX, Bit: 31, Origin: Always},

	{Name: "ARAT", Leaf: 6, Reg: EAX, Bit: 2, Origin: Always, State: "local APIC"},

	{Name: "FSGSBASE", Leaf: 7, Reg: EBX, Bit: 0, State: "CR4.FSGSBASE"},
	{Name: "TSC_ADJUST", Leaf: 7, Reg: EBX, Bit: 1, Origin: Always, State: "TSC offset"},
	{Name: "BMI1", Leaf: 7, Reg: EBX, Bit: 3},
	{Name: "AVX2", Leaf: 7, Reg: EBX, Bit: 5, Needs: "AVX", State: "AVX"},
	{Name: "SMEP", Leaf: 7, Reg: EBX, Bit: 7, State: "CR4.SMEP"},
	{Name: "BMI2", Leaf: 7, Reg: EBX, Bit: 8},
	{Name: "ERMS", Leaf: 7, Reg: EBX, Bit: 9},
	{Name: "INVPCID", Leaf: 7, Reg: EBX, Bit: 10, Needs: "PCID"},
	{Name: "RDSEED", Leaf: 7, Reg: EBX, Bit: 18},
	{Name: "ADX", Leaf: 7, Reg: EBX, Bit: 19},
	{Name: "SMAP", Leaf: 7, Reg: EBX, Bit: 20, State: "CR4.SMAP"},
	{Name: "CLFLUSHOPT", Leaf: 7, Reg: EBX, Bit: 23},
	{Name: "SHA", Leaf: 7, Reg: EBX, Bit: 29, State: "SSE"},
	{Name: "UMIP", Leaf: 7, Reg: ECX, Bit: 2, State: "CR4.UMIP"},
	{Name: "FSRM", Leaf: 7, Reg: EDX, Bit: 4},
	{Name: "MD_CLEAR", Leaf: 7, Reg: EDX, Bit: 10}, // VERW also clears buffers

	{Name: "XSAVEOPT", Leaf: 0xD, Sub: 1, Reg: EAX, Bit: 0, Needs: "XSAVE"},

	{Name: "LAHF64", Leaf: 0x8000_0001, Reg: ECX, Bit: 0},
	{Name: "ABM", Leaf: 0x8000_0001, Reg: ECX, Bit: 5},
	{Name: "PREFETCHW", Leaf: 0x8000_0001, Reg: ECX, Bit: 8},
	{Name: "SYSCALL", Leaf: 0x8000_0001, Reg: EDX, Bit: 11, State: "SYSCALL MSRs"},
	{Name: "NX", Leaf: 0x8000_0001, Reg: EDX, Bit: 20, State: "EFER.NXE"},
	{Name: "PDPE1GB", Leaf: 0x8000_0001, Reg: EDX, Bit: 26},
	{Name: "RDTSCP", Leaf: 0x8000_0001, Reg: EDX, Bit: 27, State: "TSC_AUX"},
	{Name: "LM", Leaf: 0x8000_0001, Reg: EDX, Bit: 29, State: "EFER.LME"},

	// Keel's own clock is the TSC, on the same conditions.
	{Name: "INVARIANT_TSC", Leaf: 0x8000_0007, Reg: EDX, Bit: 8, Origin: Always},
}

// Features lists what guests may see, for those who want to know.
func Features() []Feature { return append([]Feature(nil), features...) }

// offered is the set of features, by index, of a host with the leaves that ask returns.
func offered(ask func(leaf, sub uint32) [4]uint32) []bool {
	on := make([]bool, len(features))
	named := map[string]bool{"": true}
	for i, f := range features {
		has := f.Origin == Always || ask(f.Leaf, f.Sub)[f.Reg]>>f.Bit&1 != 0
		if f.Name == "AVX" {
			has = has && ask(0xD, 0)[EAX]&stateAVX != 0
		}
		on[i] = has && named[f.Needs]
		named[f.Name] = on[i]
	}
	return on
}
