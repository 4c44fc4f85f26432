package mmio

// A Mode is the width of the code that a vCPU executes, in bits.
type Mode uint8

const (
	Mode16 Mode = 16
	Mode32 Mode = 32
	Mode64 Mode = 64
)

// ModeOf returns the mode for EFER and the L and D bits of CS (SDM 3A 5.2.1).
func ModeOf(efer uint64, csL, csD bool) Mode {
	switch {
	case efer&eferLMA != 0 && csL:
		return Mode64
	case csD:
		return Mode32
	}
	return Mode16
}

// Segment registers, in the order of their encoding and of the VMCS fields.
const (
	ES = iota
	CS
	SS
	DS
	FS
	GS
)

// A CPU is what an instruction behind an MMIO exit can use of its vCPU, and
// change (GPR, RIP and RFLAGS).
type CPU struct {
	GPR    [16]uint64 // RAX RCX RDX RBX RSP RBP RSI RDI R8..R15
	RIP    uint64
	RFLAGS uint64
	Base   [6]uint64 // segment bases; in 64-bit mode only FS and GS count
	CR0    uint64
	CR3    uint64
	CR4    uint64
	EFER   uint64
	Mode   Mode
	CPL    uint8
}

// Bits of the control registers and of EFER (SDM 3A 2.5, 2.2.1).
const (
	cr0WP = 1 << 16
	cr0PG = 1 << 31

	cr4PSE  = 1 << 4
	cr4PAE  = 1 << 5
	cr4LA57 = 1 << 12
	cr4SMEP = 1 << 20
	cr4SMAP = 1 << 21

	eferLMA = 1 << 10
	eferNXE = 1 << 11
)

// RFLAGS (SDM 1 3.4.3).
const (
	flagCF = 1 << 0
	flagPF = 1 << 2
	flagAF = 1 << 4
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagDF = 1 << 10
	flagOF = 1 << 11
	flagRF = 1 << 16
	flagAC = 1 << 18

	flagsArith = flagCF | flagPF | flagAF | flagZF | flagSF | flagOF
)

// A Register is a general register or a part of one.
type Register struct {
	Num  uint8 // index into CPU.GPR
	Size uint8 // in bytes: 1, 2, 4 or 8
	High bool  // AH, CH, DH or BH: bits 15:8 of Num
}

// get returns r's value, zero-extended.
func (c *CPU) get(r Register) uint64 {
	v := c.GPR[r.Num&15]
	if r.High {
		v >>= 8
	}
	return v & ones(r.Size)
}

// set writes r. Writing 4 bytes clears the upper half, fewer keep the rest
// (SDM 1 3.4.1.1).
func (c *CPU) set(r Register, v uint64) {
	p := &c.GPR[r.Num&15]
	mask := ones(r.Size)
	switch {
	case r.High:
		*p = *p&^0xff00 | v&0xff<<8
	case r.Size >= 4:
		*p = v & mask
	default:
		*p = *p&^mask | v&mask
	}
}

// advance moves RIP past an instruction of n bytes.
func (c *CPU) advance(n uint8) {
	c.RIP += uint64(n)
	switch c.Mode {
	case Mode16:
		c.RIP &= 0xffff
	case Mode32:
		c.RIP &= 0xffffffff
	}
	c.RFLAGS &^= flagRF
}

// codeAddress returns the linear address of the instruction.
func (c *CPU) codeAddress() uint64 {
	if c.Mode == Mode64 {
		return c.RIP
	}
	return (c.Base[CS] + c.RIP) & 0xffffffff
}

// ones returns size bytes of ones; 8 or more are all.
func ones(size uint8) uint64 {
	if size >= 8 {
		return ^uint64(0)
	}
	return 1<<(8*size) - 1
}
