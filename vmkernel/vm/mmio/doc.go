// Package mmio carries out the instruction behind an MMIO exit: it fetches
// the instruction through the guest's page tables, decodes it with x86asm,
// and executes it on the vCPU's registers, with the memory operand on a
// device.
//
// The rules that it keeps: an instruction is executed wholly or, on an error,
// not at all; what it can't execute is an error that says exactly what it
// met; and whatever bytes, registers and page tables the guest has, it
// neither panics nor loops. The guest's other vCPUs run meanwhile and may
// have changed the instruction: then what is there now is executed, with the
// guest's own paging permissions, on the guest's own memory.
//
// The VM's exit loop calls Emulator.Handle, from the vCPU's goroutine. Once an
// instruction has been seen, executing it again allocates nothing. It must
// never reach memory other than through Memory and the bus.
//
// What it leaves to hardware: segment limits and types (the instruction got as
// far as its memory access already), and setting the accessed and dirty bits
// of page tables for the RAM side of MOVS. What it leaves to its caller: after
// an instruction, single-step traps (RFLAGS.TF) and the end of an interrupt
// shadow.
package mmio
