package mmio

import (
	"fmt"

	"golang.org/x/arch/x86/x86asm"
)

// An UnsupportedError is an instruction that this package can't execute.
type UnsupportedError struct {
	Text   string // in Intel syntax; "" for bytes that are no instruction
	Code   []byte // of the instruction, or all bytes there are
	Mode   Mode
	RIP    uint64
	GPA    uint64 // the guest-physical address that it accessed
	placed bool   // RIP and GPA are known
}

func (e *UnsupportedError) Error() string {
	what := "an unknown instruction"
	if e.Text != "" {
		what = fmt.Sprintf("%q", e.Text)
	}
	s := fmt.Sprintf("mmio: cannot emulate %s (% x) in %d-bit code", what, e.Code, e.Mode)
	if e.placed {
		s += fmt.Sprintf(" at %#x accessing guest-physical address %#x", e.RIP, e.GPA)
	}
	return s
}

// Decode decodes the first instruction of code, at most MaxLen bytes. The
// error is an *UnsupportedError. It allocates; an Emulator remembers what it
// decoded.
func Decode(code []byte, mode Mode) (Op, error) {
	if len(code) > MaxLen {
		code = code[:MaxLen]
	}
	inst, ok := disassemble(code, mode)
	if ok && inst.Op != 0 {
		if op, ok := convert(&inst); ok {
			return op, nil
		}
		code = code[:inst.Len]
	}
	return Op{}, &UnsupportedError{Text: syntax(inst), Code: append([]byte(nil), code...), Mode: mode}
}

// disassemble is x86asm.Decode on bytes that a hostile guest chose: should it
// panic on some of them, those are no instruction.
func disassemble(code []byte, mode Mode) (inst x86asm.Inst, ok bool) {
	defer func() {
		if recover() != nil {
			inst, ok = x86asm.Inst{}, false
		}
	}()
	inst, err := x86asm.Decode(code, int(mode))
	return inst, err == nil && inst.Len >= 1 && inst.Len <= len(code)
}

// syntax returns inst in Intel syntax, "" if it is none.
func syntax(inst x86asm.Inst) (text string) {
	defer func() {
		if recover() != nil {
			text = inst.Op.String()
		}
	}()
	if inst.Op == 0 {
		return ""
	}
	return x86asm.IntelSyntax(inst, 0, nil)
}

// twoOperands are the instructions that combine a register or an immediate
// with memory.
var twoOperands = map[x86asm.Op]Action{
	x86asm.ADD: Add, x86asm.OR: Or, x86asm.ADC: Adc, x86asm.SBB: Sbb,
	x86asm.AND: And, x86asm.SUB: Sub, x86asm.XOR: Xor, x86asm.CMP: Cmp,
	x86asm.TEST: Test, x86asm.XCHG: Xchg, x86asm.XADD: Xadd, x86asm.CMPXCHG: Cmpxchg,
	x86asm.BT: Bt, x86asm.BTS: Bts, x86asm.BTR: Btr, x86asm.BTC: Btc,
}

var oneOperand = map[x86asm.Op]Action{
	x86asm.INC: Inc, x86asm.DEC: Dec, x86asm.NOT: Not, x86asm.NEG: Neg,
}

// stringOps are the string instructions and the size of their operands.
var stringOps = map[x86asm.Op]struct {
	do   Action
	size uint8
}{
	x86asm.STOSB: {Store, 1}, x86asm.STOSW: {Store, 2}, x86asm.STOSD: {Store, 4}, x86asm.STOSQ: {Store, 8},
	x86asm.LODSB: {Load, 1}, x86asm.LODSW: {Load, 2}, x86asm.LODSD: {Load, 4}, x86asm.LODSQ: {Load, 8},
	x86asm.MOVSB: {Move, 1}, x86asm.MOVSW: {Move, 2}, x86asm.MOVSD: {Move, 4}, x86asm.MOVSQ: {Move, 8},
}

// convert turns an instruction into an Op, if it is one that this package
// executes: one memory operand of 1, 2, 4 or 8 bytes and general registers.
func convert(inst *x86asm.Inst) (Op, bool) {
	op := Op{Len: uint8(inst.Len), Size: uint8(inst.MemBytes)}
	for _, p := range inst.Prefix {
		if p&x86asm.PrefixInvalid != 0 {
			return Op{}, false // LOCK where it is not allowed
		}
	}
	if s, ok := stringOps[inst.Op]; ok {
		return convertString(inst, op, s.do, s.size)
	}
	if inst.Op == x86asm.CLFLUSH {
		op.Do, op.Size = Touch, 1
		return op, true
	}
	switch inst.MemBytes {
	case 1, 2, 4, 8:
	default:
		return Op{}, false
	}
	memArg := 0
	if _, ok := inst.Args[0].(x86asm.Mem); !ok {
		memArg = 1
	}
	m, ok := inst.Args[memArg].(x86asm.Mem)
	if !ok || !op.Mem.convert(inst, m) {
		return Op{}, false
	}
	if do, ok := oneOperand[inst.Op]; ok {
		op.Do = do
		return op, memArg == 0 && inst.Args[1] == nil
	}
	if inst.Args[2] != nil || !op.operand(inst.Args[1-memArg]) {
		return Op{}, false
	}
	if do, ok := twoOperands[inst.Op]; ok {
		op.Do = do
		op.ToReg = memArg == 1
		return op, op.UseImm || op.Reg.Size == op.Size
	}
	op.Do = Store
	if memArg == 1 {
		op.Do = Load
	}
	switch inst.Op {
	case x86asm.MOV, x86asm.MOVNTI:
	case x86asm.MOVBE:
		op.Swap = true
	case x86asm.MOVZX:
		return op, op.Do == Load && op.Reg.Size >= op.Size
	case x86asm.MOVSX, x86asm.MOVSXD:
		op.Signed = true
		return op, op.Do == Load && op.Reg.Size >= op.Size
	default:
		return Op{}, false
	}
	return op, op.UseImm || op.Reg.Size == op.Size
}

func convertString(inst *x86asm.Inst, op Op, do Action, size uint8) (Op, bool) {
	op.Do, op.Size, op.String = do, size, true
	op.Reg = Register{Num: 0, Size: size}
	for _, p := range inst.Prefix {
		switch p &^ x86asm.PrefixImplicit {
		case x86asm.PrefixREP, x86asm.PrefixREPN:
			op.Repeat = true
		}
	}
	arg := 0
	if do == Load {
		arg = 1
	}
	m, ok := inst.Args[arg].(x86asm.Mem)
	if !ok || !op.Mem.convert(inst, m) {
		return Op{}, false
	}
	if do == Move {
		m, ok = inst.Args[1].(x86asm.Mem)
		ok = ok && op.Source.convert(inst, m)
	}
	return op, ok
}

// operand takes the operand that is not memory.
func (o *Op) operand(arg x86asm.Arg) bool {
	switch a := arg.(type) {
	case x86asm.Imm:
		o.UseImm = true
		o.Imm = uint64(a) & ones(o.Size)
		return true
	case x86asm.Reg:
		var ok bool
		o.Reg, ok = register(a)
		return ok
	}
	return false
}

// register converts a general register.
func register(r x86asm.Reg) (Register, bool) {
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		return Register{Num: uint8(r - x86asm.AL), Size: 1}, true
	case r >= x86asm.AH && r <= x86asm.BH:
		return Register{Num: uint8(r - x86asm.AH), Size: 1, High: true}, true
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return Register{Num: uint8(r-x86asm.SPB) + 4, Size: 1}, true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return Register{Num: uint8(r - x86asm.AX), Size: 2}, true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return Register{Num: uint8(r - x86asm.EAX), Size: 4}, true
	case r >= x86asm.RAX && r <= x86asm.R15:
		return Register{Num: uint8(r - x86asm.RAX), Size: 8}, true
	}
	return Register{}, false
}

// convert takes the address of a memory operand.
func (m *Mem) convert(inst *x86asm.Inst, from x86asm.Mem) bool {
	*m = Mem{Base: noReg, Index: noReg, Scale: from.Scale, Segment: DS, AddrSize: uint8(inst.AddrSize / 8)}
	switch from.Base {
	case 0:
	case x86asm.RIP, x86asm.EIP:
		m.Base = ripReg
	default:
		r, ok := register(from.Base)
		if !ok {
			return false
		}
		m.Base = r.Num
		// RSP and RBP address the stack (SDM 1 table 3-5).
		if r.Num == 4 || r.Num == 5 {
			m.Segment = SS
		}
	}
	if from.Index != 0 {
		r, ok := register(from.Index)
		if !ok {
			return false
		}
		m.Index = r.Num
	}
	if from.Segment != 0 {
		if from.Segment < x86asm.ES || from.Segment > x86asm.GS {
			return false
		}
		m.Segment = uint8(from.Segment - x86asm.ES)
	}
	// x86asm leaves a 32-bit displacement unsigned. Only MOV to and from the
	// accumulator (A0H..A3H) has a 64-bit one.
	m.Disp = uint64(int64(int32(from.Disp)))
	if op := inst.Opcode >> 24; inst.Op == x86asm.MOV && op >= 0xa0 && op <= 0xa3 {
		m.Disp = uint64(from.Disp)
	}
	return true
}
