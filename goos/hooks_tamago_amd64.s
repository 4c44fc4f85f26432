//go:build tamago

#include "go_asm.h"
#include "textflag.h"

// System calls and their flags, as in package linux, which the runtime can't import.
#define SYS_write          1
#define SYS_mmap           9
#define SYS_rt_sigaction   13
#define SYS_rt_sigreturn   15
#define SYS_clone          56
#define SYS_exit           60
#define SYS_sigaltstack    131
#define SYS_arch_prctl     158
#define SYS_gettid         186
#define SYS_exit_group     231
#define SYS_getrandom      318
#define SYS_keel_idle      0x4b2d // sys.NumIdle

#define SIGSEGV 11
#define SIGURG  23

#define altSize const_altSize
#define altMost const_altMost

// g_stackhi is where the runtime's g has the end of its stack: its second word, as cgo knows it.
#define g_stackhi 8

// g_stackguard0 is where functions find the limit that they compare their stack with, as the compiler knows it, and
// stackPreempt the limit that has them make room for other goroutines, if the runtime can at that point. An m begins
// with its g0.
#define g_stackguard0 16
#define stackPreempt  -1314
#define m_g0          0

// CPUInit maps memory for the heap. It isn't counted before it is touched: threads' stacks take much more addresses
// than memory.
TEXT ·CPUInit(SB), NOSPLIT|NOFRAME, $0
	MOVQ ·RamStart(SB), DI
	MOVQ ·RamSize(SB), SI
	MOVL $3, DX                     // PROT_READ, PROT_WRITE
	MOVL $0x4032, R10               // MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE
	MOVQ $-1, R8
	XORL R9, R9
	MOVL $SYS_mmap, AX
	SYSCALL
	CMPQ AX, ·RamStart(SB)
	JEQ  mapped
	MOVQ ·noHeap(SB), SI
	MOVQ ·noHeap+8(SB), DX
	JMP  ·fail(SB)
mapped:
	MOVQ ·RamStart(SB), SP
	ADDQ ·RamSize(SB), SP
	SUBQ ·RamStackOffset(SB), SP
	JMP  runtime·rt0_amd64_tamago(SB)

// hwinit0 tells the lower half the first thread's FS base, and where faults of Go code go.
TEXT ·hwinit0(SB), NOSPLIT, $32-0
	// Beside its first field, m0 names g0 where its thread-local storage begins. FS points 8 bytes behind that.
	MOVQ $runtime·m0(SB), SI
	MOVQ $runtime·g0(SB), CX
	MOVL $8, BX
search:
	CMPQ CX, (SI)(BX*1)
	JEQ  found
	ADDQ $8, BX
	CMPQ BX, $512
	JB   search
	JMP  strange
found:
	MOVQ BX, ·TLS(SB)
	MOVL $8, DX
owner:
	CMPQ SI, (CX)(DX*1)
	JEQ  owned
	ADDQ $8, DX
	CMPQ DX, $512
	JB   owner
strange:
	MOVQ ·noFields(SB), SI
	MOVQ ·noFields+8(SB), DX
	CALL ·fail(SB)
owned:
	MOVQ DX, ·owner(SB)
	LEAQ 8(SI)(BX*1), SI
	MOVL $0x1002, DI                // ARCH_SET_FS
	MOVL $SYS_arch_prctl, AX
	SYSCALL
	MOVL $1, ·altTaken(SB)
	MOVQ $·alts(SB), AX
	MOVQ AX, stack-32(SP)
	MOVQ $0, stack-24(SP)
	MOVQ $altSize, stack-16(SP)
	LEAQ stack-32(SP), DI
	XORL SI, SI
	MOVL $SYS_sigaltstack, AX
	SYSCALL
	MOVQ $·signal(SB), AX
	MOVQ AX, action-32(SP)
	MOVQ $0x0C000000, AX            // SA_ONSTACK, SA_RESTORER
	MOVQ AX, action-24(SP)
	MOVQ $·restore(SB), AX
	MOVQ AX, action-16(SP)
	MOVQ $(1<<(SIGURG-1)), AX       // blocked meanwhile
	MOVQ AX, action-8(SP)
	MOVL $SIGSEGV, DI
	LEAQ action-32(SP), SI
	XORL DX, DX
	MOVL $8, R10
	MOVL $SYS_rt_sigaction, AX
	SYSCALL
	MOVQ $·makeRoom(SB), AX
	MOVQ AX, action-32(SP)
	MOVL $SIGURG, DI
	LEAQ action-32(SP), SI
	MOVL $SYS_rt_sigaction, AX
	SYSCALL
	RET

// signal has a thread go on as if the instruction that faulted had called sigpanic or noMemory. Where code was called
// that isn't there, the caller's return address is on the stack already.
TEXT ·signal(SB), NOSPLIT|NOFRAME, $0
	MOVQ 160(DX), AX                // the interrupted RSP and RIP in ucontext
	MOVQ 168(DX), CX
	MOVQ $runtime·text(SB), BX
	CMPQ CX, BX
	JB   called
	MOVQ $runtime·etext(SB), BX
	CMPQ CX, BX
	JAE  called
	SUBQ $8, AX
	MOVQ CX, (AX)
	MOVQ AX, 160(DX)
called:
	MOVQ ·sigpanicFunc(SB), CX
	MOVQ 16(SI), AX                 // si_addr
	SUBQ ·RamStart(SB), AX
	CMPQ AX, ·RamSize(SB)
	CMOVQCS ·noMemoryFunc(SB), CX
	MOVQ CX, 136(DX)                // RDX
	MOVQ $·enter(SB), CX
	MOVQ CX, 168(DX)
	RET

// enter calls the function value in DX with the registers that Go's own ABI wants: assembly, which may fault as well, uses
// them freely.
TEXT ·enter(SB), NOSPLIT|NOFRAME, $0
	MOVQ -8(FS), R14
	XORPS X15, X15
	MOVQ (DX), CX
	JMP  CX

// makeRoom has the thread's goroutine give others a turn at the next function that looks at its stack: what the stock
// runtime's monitor does to one that has had its P for 10 ms. The thread's own g never may.
TEXT ·makeRoom(SB), NOSPLIT|NOFRAME, $0
	MOVQ -8(FS), AX
	TESTQ AX, AX
	JZ   none
	MOVQ ·owner(SB), BX
	MOVQ (AX)(BX*1), CX
	TESTQ CX, CX
	JZ   none
	CMPQ AX, m_g0(CX)
	JEQ  none
	MOVQ $stackPreempt, g_stackguard0(AX)
none:
	RET

// restore is where signal and makeRoom return to.
TEXT ·restore(SB), NOSPLIT|NOFRAME, $0
	MOVL $SYS_rt_sigreturn, AX
	SYSCALL
	INT  $3

// func clone(mp, gp, fn unsafe.Pointer)
TEXT ·clone(SB), NOSPLIT|NOFRAME, $0-24
	MOVL $0x90F00, DI               // CLONE_VM, FS, FILES, SIGHAND, THREAD, SETTLS
	MOVQ mp+0(FP), R13
	MOVQ gp+8(FP), R9
	MOVQ fn+16(FP), R12
	MOVQ g_stackhi(R9), SI
	MOVQ ·TLS(SB), BX
	LEAQ 8(R13)(BX*1), R8
	XORL DX, DX
	XORL R10, R10
	MOVL $SYS_clone, AX
	SYSCALL
	TESTQ AX, AX
	JZ   child
	JS   failed
	RET
failed:
	MOVQ ·noThread(SB), SI
	MOVQ ·noThread+8(SB), DX
	JMP  ·fail(SB)
child:
	// On the new stack, with the maker's other registers.
	MOVQ SI, SP
	SUBQ $64, SP
	MOVQ R9, (R13)(BX*1)            // thread-local storage: g
	MOVQ $·altTaken(SB), R15
	XORL BX, BX
take:
	MOVL $1, AX
	XCHGL AX, (R15)(BX*4)
	TESTL AX, AX
	JZ   taken
	INCQ BX
	CMPQ BX, $altMost
	JB   take
	JMP  run                        // faults are taken on the thread's own stack, then
taken:
	MOVQ BX, AX
	IMULQ $altSize, AX
	MOVQ $·alts(SB), CX
	ADDQ CX, AX
	MOVQ AX, 8(SP)
	MOVQ $0, 16(SP)
	MOVQ $altSize, 24(SP)
	LEAQ 8(SP), DI
	XORL SI, SI
	MOVL $SYS_sigaltstack, AX
	SYSCALL
run:
	MOVQ BX, 0(SP)
	MOVQ R9, R14
	CALL R12

	// The end of the thread, which takes no signal any more. The runtime keeps 48 KiB of stacks of it: its exitThread doesn't
	// say that it has left them.
	MOVL $2, 16(SP)                 // SS_DISABLE
	LEAQ 8(SP), DI
	XORL SI, SI
	MOVL $SYS_sigaltstack, AX
	SYSCALL
	MOVQ 0(SP), BX
	MOVQ $·altTaken(SB), R15
	CMPQ BX, $altMost
	JAE  gone
	MOVL $0, (R15)(BX*4)
gone:
	XORL DI, DI
	MOVL $SYS_exit, AX
	SYSCALL
	INT  $3

// fail writes DX bytes at SI to the console and ends the upper half.
TEXT ·fail(SB), NOSPLIT|NOFRAME, $0
	MOVL $2, DI
	MOVL $SYS_write, AX
	SYSCALL
	MOVL $2, DI
	MOVL $SYS_exit_group, AX
	SYSCALL
	INT  $3

TEXT ·exit(SB), NOSPLIT, $0-4
	MOVL code+0(FP), DI
	MOVL $SYS_exit_group, AX
	SYSCALL
	RET

TEXT ·procID(SB), NOSPLIT, $0-8
	MOVL $SYS_gettid, AX
	SYSCALL
	MOVQ AX, ret+0(FP)
	RET

// Nanotime is the lower half's clock, which runs in the upper half as a vDSO does.
TEXT ·Nanotime(SB), NOSPLIT|NOFRAME, $0-8
	JMP keel∕vmkernel∕core·vdsoRealtime(SB)

TEXT ·Printk(SB), NOSPLIT, $0-1
	MOVL $2, DI
	LEAQ c+0(FP), SI
	MOVL $1, DX
	MOVL $SYS_write, AX
	SYSCALL
	RET

// func getrandom(p *byte, n int) int
TEXT ·getrandom(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), DI
	MOVQ n+8(FP), SI
	XORL DX, DX
	MOVL $SYS_getrandom, AX
	SYSCALL
	MOVQ AX, ret+16(FP)
	RET

TEXT ·idle(SB), NOSPLIT, $0-8
	MOVQ until+0(FP), DI
	MOVL $SYS_keel_idle, AX
	SYSCALL
	RET
