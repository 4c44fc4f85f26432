package amd64

// Each of these is the instruction of its name, on the calling processor.

func CPUID(leaf, sub uint32) (eax, ebx, ecx, edx uint32)
func RDMSR(msr uint32) uint64
func WRMSR(msr uint32, v uint64)
func RDTSC() uint64
func IN8(port uint16) uint8
func IN16(port uint16) uint16
func IN32(port uint16) uint32
func OUT8(port uint16, v uint8)
func OUT16(port uint16, v uint16)
func OUT32(port uint16, v uint32)
func ReadCR0() uint64
func ReadCR2() uint64
func ReadCR3() uint64
func ReadCR4() uint64
func WriteCR0(v uint64)
func WriteCR2(v uint64)
func WriteCR3(v uint64)
func WriteCR4(v uint64)
func XGETBV() uint64
func XSETBV(v uint64)
func INVLPG(addr uintptr)
func PAUSE()
func CLI()
func STI()
func HLT()

// StiHlt enables interrupts and halts, with no window between the two; it returns after the
// interrupt's handler did, with interrupts off again.
func StiHlt()
func ReadDR(n int) uint64     // n is 0 to 3, 6 or 7
func WriteDR(n int, v uint64) // n is 0 to 3, 6 or 7
func LGDT(desc uintptr)       // desc points at the 10-byte pseudo-descriptor
func LIDT(desc uintptr)
func LTR(sel uint16)
func SGDT(desc uintptr)
func SIDT(desc uintptr)

// LoadSegments reloads CS (by a far return) and SS, DS, ES with the given selectors and zeroes
// FS and GS without touching their bases.
func LoadSegments(code, data uint16)
func XSAVE(area uintptr, mask uint64)  // area is 64-byte aligned
func XRSTOR(area uintptr, mask uint64) // area is 64-byte aligned
