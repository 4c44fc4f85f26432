package mmio

import (
	"errors"
	"math/bits"

	"keel/vmkernel/device"
)

// An Emulator executes one vCPU's instructions behind MMIO exits. It is not
// for several goroutines at once.
type Emulator struct {
	ram   Memory
	bus   device.MMIODevice
	cache [cacheSize]cached
	code  [MaxLen]byte
	bytes [8]byte
}

// New returns an Emulator for a guest whose RAM is ram, and where bus answers
// at all other guest-physical addresses (a device.Bus does).
func New(ram Memory, bus device.MMIODevice) *Emulator {
	return &Emulator{ram: ram, bus: bus}
}

// Handle executes the instruction at c's RIP, which exited because it
// accessed gpa. Of a repeated string instruction it executes one iteration
// and leaves RIP on it until the last.
//
// On an error c is unchanged. A *PageFault is for the guest; everything else,
// such as an *UnsupportedError, stops the VM.
func (e *Emulator) Handle(c *CPU, gpa uint64) error {
	n, err := Fetch(e.ram, c, &e.code)
	if err != nil {
		return err
	}
	op, err := e.decode(c, n)
	if err != nil {
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) {
			return err
		}
		if n < MaxLen {
			// It may be that the rest of it is on a page that isn't there.
			if err := fetchPage(e.ram, c, nextPage(c, c.codeAddress()), e.code[n:]); err != nil {
				return err
			}
		}
		unsupported.RIP, unsupported.GPA, unsupported.placed = c.RIP, gpa, true
		return err
	}
	return e.Execute(c, op, gpa)
}

// Execute executes op, at c's RIP, as Handle does.
func (e *Emulator) Execute(c *CPU, op *Op, gpa uint64) error {
	if op.String {
		return e.executeString(c, op, gpa)
	}
	var skip uint64
	if op.Do >= Bt && op.Do <= Btc && !op.UseImm {
		// A bit offset in a register counts from the operand on, either way.
		width := 8 * uint(op.Size)
		offset := int64(c.get(op.Reg)<<(64-width)) >> (64 - width)
		skip = uint64(offset>>bits.TrailingZeros(width)) * uint64(op.Size)
	}
	var at place
	if op.Do != Touch {
		linear := op.Mem.address(c, op.Len, skip)
		if err := e.locate(&at, c, linear, op, op.Write(), gpa); err != nil {
			return err
		}
	}
	switch op.Do {
	case Touch:
	case Load:
		v := e.load(&at)
		if op.Swap {
			v = swap(v, op.Size)
		}
		if op.Signed {
			shift := 64 - 8*uint(op.Size)
			v = uint64(int64(v<<shift) >> shift)
		}
		c.set(op.Reg, v)
	case Store:
		v := op.value(c)
		if op.Swap {
			v = swap(v, op.Size)
		}
		e.store(&at, v)
	case Xchg:
		v := e.load(&at)
		e.store(&at, c.get(op.Reg))
		c.set(op.Reg, v)
	case Cmpxchg:
		acc := Register{Size: op.Size}
		v := e.load(&at)
		_, c.RFLAGS = alu(Cmp, c.get(acc), v, op.Size, c.RFLAGS)
		if c.RFLAGS&flagZF != 0 {
			e.store(&at, c.get(op.Reg))
		} else {
			e.store(&at, v) // as processors do
			c.set(acc, v)
		}
	case Xadd:
		v := e.load(&at)
		var sum uint64
		sum, c.RFLAGS = alu(Xadd, v, c.get(op.Reg), op.Size, c.RFLAGS)
		e.store(&at, sum)
		c.set(op.Reg, v)
	default:
		e.arithmetic(c, op, &at)
	}
	c.advance(op.Len)
	return nil
}

// arithmetic executes what has a destination, a source and flags.
func (e *Emulator) arithmetic(c *CPU, op *Op, at *place) {
	v := e.load(at)
	var r uint64
	if op.ToReg {
		r, c.RFLAGS = alu(op.Do, c.get(op.Reg), v, op.Size, c.RFLAGS)
	} else {
		r, c.RFLAGS = alu(op.Do, v, op.value(c), op.Size, c.RFLAGS)
	}
	switch {
	case op.Do == Cmp || op.Do == Test || op.Do == Bt:
	case op.ToReg:
		c.set(op.Reg, r)
	default:
		e.store(at, r)
	}
}

// executeString executes one iteration of STOS, LODS or MOVS.
func (e *Emulator) executeString(c *CPU, op *Op, gpa uint64) error {
	address := Register{Size: op.Mem.AddrSize} // of RCX, RSI and RDI
	count, source, dest := address, address, address
	count.Num, source.Num, dest.Num = 1, 6, 7
	if op.Repeat && c.get(count) == 0 {
		c.advance(op.Len)
		return nil
	}
	var at, from place
	if err := e.locate(&at, c, op.Mem.address(c, op.Len, 0), op, op.Write(), gpa); err != nil {
		return err
	}
	step := uint64(op.Size)
	if c.RFLAGS&flagDF != 0 {
		step = -step
	}
	switch op.Do {
	case Store:
		e.store(&at, c.get(op.Reg))
	case Load:
		c.set(op.Reg, e.load(&at))
	case Move:
		if err := e.locate(&from, c, op.Source.address(c, op.Len, 0), op, false, gpa); err != nil {
			return err
		}
		e.store(&at, e.load(&from))
	}
	if op.Do != Store {
		c.set(source, c.get(source)+step)
	}
	if op.Do != Load {
		c.set(dest, c.get(dest)+step)
	}
	if op.Repeat {
		c.set(count, c.get(count)-1)
		if c.get(count) != 0 {
			return nil
		}
	}
	c.advance(op.Len)
	return nil
}

// value returns the operand that is not memory.
func (o *Op) value(c *CPU) uint64 {
	if o.UseImm {
		return o.Imm
	}
	if o.Reg.Size == 0 {
		return 0 // of one operand
	}
	return c.get(o.Reg)
}

// swap reverses the bytes of v, which has size of them.
func swap(v uint64, size uint8) uint64 {
	return bits.ReverseBytes64(v) >> (64 - 8*uint(size))
}
