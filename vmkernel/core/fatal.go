package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// A frame is what the assembly pushes for a fatal fault, lowest address first.
type frame struct {
	rax, rcx, rdx, rbx, sp, rbp, rsi, rdi uint64
	r8, r9, r10, r11, r12, r13, r14, r15  uint64
	vector, code                          uint64
	rip, cs, rflags, rsp, ss              uint64
}

// fatalFrame reports an exception in the lower half and never returns.
func fatalFrame(addr uintptr) {
	f := at[frame](addr)
	beginFatal()
	print(exceptionName(f.vector))
	report(f.vector, f.code, f.rip, f.rsp, f.rbp, f.rflags)
	for i := uintptr(0); i < 16; i++ {
		register(int(i), *at[uint64](addr + 8*i))
	}
	backtrace(f.rip, f.rbp)
	endFatal()
}

// fatalWorld reports an exception of the upper half that nothing there can handle.
func fatalWorld(w *world, vector, code uint64) {
	beginFatal()
	print(exceptionName(vector))
	report(vector, code, w.ctx.rip, w.ctx.gpr[4], w.ctx.gpr[5], w.ctx.rflags)
	for i := 0; i < 16; i++ {
		register(i, w.ctx.gpr[i])
	}
	backtrace(w.ctx.rip, w.ctx.gpr[5])
	endFatal()
}

// fatal reports a broken invariant of the lower half, with a value, and never returns.
func fatal(what string, value uint64) {
	beginFatal()
	print(what)
	print(" value=")
	printHex(value)
	print("\"\n")
	backtrace(0, uint64(framePointer()))
	endFatal()
}

func framePointer() uintptr

// dying is 1 + the processor that reports a fatal fault. The report may fault itself, and another
// processor may find one at the same time.
var dying uint32

func beginFatal() {
	amd64.CLI()
	self := uint32(1)
	if nCPUs > 1 {
		self = 1 + me().id
	}
	if !atomic.CompareAndSwapUint32(&dying, 0, self) {
		if atomic.LoadUint32(&dying) == self {
			print("\nlevel=ERROR msg=\"fatal fault while reporting one\"\n")
		}
		for {
			amd64.HLT()
		}
	}
	stopOthers()
	console.lock.force() // its holder has been stopped
	print("\nlevel=ERROR msg=\"fatal fault\" cause=\"")
}

func report(vector, code, rip, rsp, rbp, rflags uint64) {
	print(" vector=")
	printDec(vector)
	print(" code=")
	printHex(code)
	print("\"\n  rip=")
	printHex(rip)
	print(" rsp=")
	printHex(rsp)
	print(" rflags=")
	printHex(rflags)
	print(" cr2=")
	printHex(amd64.ReadCR2())
	print(" cr3=")
	printHex(amd64.ReadCR3())
	print(" cr4=")
	printHex(amd64.ReadCR4())
}

func register(i int, v uint64) {
	if i%4 == 0 {
		print("\n ")
	}
	print(" ")
	print("raxrcxrdxrbxrsprbprsirdir8 r9 r10r11r12r13r14r15"[3*i : 3*i+3])
	print("=")
	printHex(v)
}

// backtrace follows frame pointers, as far as they lead upwards within one stack.
func backtrace(pc, bp uint64) {
	print("\n")
	printPC(pc)
	for i := 0; i < 40 && bp != 0 && bp&7 == 0; i++ {
		if !readable(uintptr(bp)) || !readable(uintptr(bp+8)) {
			break
		}
		printPC(*at[uint64](uintptr(bp) + 8))
		next := *at[uint64](uintptr(bp))
		if next <= bp {
			break
		}
		bp = next
	}
}

func readable(va uintptr) bool {
	e, _ := leaf(va)
	return e != nil && *e&amd64.PTE_P != 0
}

func printPC(pc uint64) {
	if pc == 0 {
		return
	}
	print("  at ")
	printHex(pc)
	if name, start := functionAt(uintptr(pc)); start != 0 {
		print(" ")
		print(name)
		print("+")
		printHex(pc - uint64(start))
	}
	print("\n")
}

func pclntab() uintptr
func textStart() uintptr

// functionAt finds the function that holds pc in the linker's table (debug/gosym describes it,
// for Go 1.20 and later); start is 0 where there is none. It reads what the runtime's own
// functions would, without their need of an m.
func functionAt(pc uintptr) (name string, start uintptr) {
	t, text := pclntab(), textStart()
	if pc < text || pc >= textLimit() || *at[uint32](t) != 0xFFFFFFF1 {
		return "", 0
	}
	n := int(*at[uint64](t + 8))
	names := t + uintptr(*at[uint64](t + 32))
	table := t + uintptr(*at[uint64](t + 64))
	off := uint32(pc - text)
	lo, hi := 0, n
	for hi-lo > 1 {
		mid := int(uint(lo+hi) >> 1)
		if *at[uint32](table + 8*uintptr(mid)) <= off {
			lo = mid
		} else {
			hi = mid
		}
	}
	f := table + uintptr(*at[uint32](table + 8*uintptr(lo) + 4))
	s := names + uintptr(*at[uint32](f + 4))
	k := 0
	for k < 200 && *at[byte](s + uintptr(k)) != 0 {
		k++
	}
	return stringAt(s, k), text + uintptr(*at[uint32](f))
}

// endFatal does what onPanic says: halts for ever, or restarts.
func endFatal() {
	saveCrash()
	if restartOnPanic {
		print("level=ERROR msg=\"restarting\"\n")
		stall(2_000_000_000)
		reset()
	}
	print("level=ERROR msg=\"halted\"\n")
	for {
		amd64.CLI()
		amd64.HLT()
	}
}
