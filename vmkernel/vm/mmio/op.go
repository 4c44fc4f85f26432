package mmio

// An Action is what an instruction does with its memory operand. Those of
// arithmetic are named as their instructions are.
type Action uint8

const (
	None  Action = iota
	Load         // register = memory: MOV, MOVZX, MOVSX, MOVSXD, MOVBE, LODS
	Store        // memory = register or immediate: MOV, MOVNTI, MOVBE, STOS
	Move         // memory = memory: MOVS
	Touch        // no access that a device could see: CLFLUSH
	Add
	Or
	Adc
	Sbb
	And
	Sub
	Xor
	Cmp
	Test
	Inc
	Dec
	Not
	Neg
	Xchg
	Xadd
	Cmpxchg
	Bt
	Bts
	Btr
	Btc
)

// A Mem is the address of a memory operand (SDM 1 3.7.5).
type Mem struct {
	Base, Index uint8 // index into CPU.GPR, noReg, or ripReg for Base
	Scale       uint8
	Segment     uint8
	AddrSize    uint8 // in bytes: 2, 4 or 8
	Disp        uint64
}

const (
	ripReg = 16
	noReg  = 17
)

// An Op is a decoded instruction. It holds no pointers and doesn't depend on
// where the instruction is.
type Op struct {
	Do     Action
	Len    uint8    // of the instruction in bytes, 1 to 15
	Size   uint8    // of the memory operand in bytes: 1, 2, 4 or 8
	ToReg  bool     // arithmetic: the register is the destination
	Signed bool     // Load: sign-extend, else zero-extend
	Swap   bool     // MOVBE: reverse the bytes
	String bool     // STOS, LODS, MOVS: step RSI or RDI by Size
	Repeat bool     // ... while RCX isn't 0
	UseImm bool     // the other operand is Imm, else Reg
	Reg    Register // the register operand
	Imm    uint64
	Mem    Mem // the memory operand; of MOVS, the destination
	Source Mem // MOVS: the source
}

// Write reports whether the instruction writes to memory.
func (o *Op) Write() bool {
	switch o.Do {
	case Load, Touch, Cmp, Test, Bt:
		return false
	case Store, Move, Xchg, Xadd, Cmpxchg:
		return true
	}
	return !o.ToReg
}

// Read reports whether the instruction reads from memory.
func (o *Op) Read() bool { return o.Do != Store && o.Do != Touch }

// address returns the linear address of m for an instruction of n bytes at
// c's RIP, moved by skip bytes within the segment.
func (m *Mem) address(c *CPU, n uint8, skip uint64) uint64 {
	offset := m.Disp + skip
	switch {
	case m.Base < ripReg:
		offset += c.GPR[m.Base]
	case m.Base == ripReg:
		offset += c.RIP + uint64(n)
	}
	if m.Index < ripReg {
		offset += c.GPR[m.Index] * uint64(m.Scale)
	}
	offset &= ones(m.AddrSize)
	if c.Mode == Mode64 {
		if m.Segment == FS || m.Segment == GS {
			offset += c.Base[m.Segment]
		}
		return offset
	}
	return (c.Base[m.Segment%6] + offset) & 0xffffffff
}
