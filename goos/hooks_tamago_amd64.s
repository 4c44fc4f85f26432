//go:build tamago

#include "textflag.h"

// System calls and their flags, as in package linux, which the runtime can't import.
#define SYS_write             1
#define SYS_mmap              9
#define SYS_rt_sigaction      13
#define SYS_rt_sigprocmask    14
#define SYS_rt_sigreturn      15
#define SYS_sched_yield       24
#define SYS_madvise           28
#define SYS_nanosleep         35
#define SYS_clone             56
#define SYS_exit              60
#define SYS_sigaltstack       131
#define SYS_arch_prctl        158
#define SYS_gettid            186
#define SYS_futex             202
#define SYS_sched_getaffinity 204
#define SYS_exit_group        231
#define SYS_tgkill            234
#define SYS_getrandom         318

#define SIGSEGV 11
#define SIGURG  23

// CPUInit maps memory for the heap, which isn't counted before it is touched, and says where faults of Go code go.
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
	MOVQ $·signal(SB), AX
	MOVQ AX, -32(SP)
	MOVQ $0x0C000000, AX            // SA_ONSTACK, SA_RESTORER
	MOVQ AX, -24(SP)
	MOVQ $·restore(SB), AX
	MOVQ AX, -16(SP)
	MOVQ $(1<<(SIGSEGV-1) | 1<<(SIGURG-1)), AX // blocked meanwhile
	MOVQ AX, -8(SP)
	MOVL $SIGSEGV, DI
	LEAQ -32(SP), SI
	XORL DX, DX
	MOVL $8, R10
	MOVL $SYS_rt_sigaction, AX
	SYSCALL
	MOVQ $·preempt(SB), AX
	MOVQ AX, -32(SP)
	MOVL $SIGURG, DI
	LEAQ -32(SP), SI
	MOVL $SYS_rt_sigaction, AX
	SYSCALL
	JMP  runtime·rt0_amd64_tamago(SB)

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

// preempt calls the function at Preempt.
TEXT ·preempt(SB), NOSPLIT, $24
	MOVQ -8(FS), AX
	TESTQ AX, AX
	JZ   none
	MOVQ DX, BX
	MOVQ AX, R14
	XORPS X15, X15
	MOVQ ·Preempt(SB), CX
	CALL CX
none:
	RET

// func SetSignalMask(mask uint64)
TEXT ·SetSignalMask(SB), NOSPLIT, $0-8
	MOVL $2, DI                     // SIG_SETMASK
	LEAQ mask+0(FP), SI
	XORL DX, DX
	MOVL $8, R10
	MOVL $SYS_rt_sigprocmask, AX
	SYSCALL
	RET

// func Preempted(id uint64)
TEXT ·Preempted(SB), NOSPLIT, $0-8
	MOVL $1, DI
	MOVQ id+0(FP), SI
	MOVL $SIGURG, DX
	MOVL $SYS_tgkill, AX
	SYSCALL
	RET

// restore is where signal and preempt return to.
TEXT ·restore(SB), NOSPLIT|NOFRAME, $0
	MOVL $SYS_rt_sigreturn, AX
	SYSCALL
	INT  $3

// func SetTLS(tls unsafe.Pointer)
TEXT ·SetTLS(SB), NOSPLIT, $0-8
	MOVQ tls+0(FP), SI
	ADDQ $8, SI
	MOVL $0x1002, DI                // ARCH_SET_FS
	MOVL $SYS_arch_prctl, AX
	SYSCALL
	RET

// func CPUs() uint64
TEXT ·CPUs(SB), NOSPLIT, $8-8
	MOVQ $0, mask-8(SP)
	XORL DI, DI
	MOVL $8, SI
	LEAQ mask-8(SP), DX
	MOVL $SYS_sched_getaffinity, AX
	SYSCALL
	MOVQ mask-8(SP), AX
	MOVQ AX, ret+0(FP)
	RET

// func Clone(sp, tls, gp, fn unsafe.Pointer)
TEXT ·Clone(SB), NOSPLIT|NOFRAME, $0-32
	MOVL $0x90F00, DI               // CLONE_VM, FS, FILES, SIGHAND, THREAD, SETTLS
	MOVQ sp+0(FP), SI
	MOVQ tls+8(FP), R8
	MOVQ gp+16(FP), R9
	MOVQ fn+24(FP), R12
	MOVQ R9, (R8)
	ADDQ $8, R8
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
	MOVQ R9, R14
	CALL R12
	INT  $3                         // it ends by ExitThread

// func ExitThread(wait *uint32)
TEXT ·ExitThread(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ wait+0(FP), AX
	MOVL $0, (AX)                   // the stack may be another's from here on
	XORL DI, DI
	MOVL $SYS_exit, AX
	SYSCALL
	INT  $3

// func SetSignalStack(lo unsafe.Pointer, n uintptr)
TEXT ·SetSignalStack(SB), NOSPLIT, $24-16
	MOVQ lo+0(FP), AX
	MOVQ n+8(FP), CX
	MOVQ AX, stack-24(SP)
	MOVQ $0, stack-16(SP)
	MOVQ CX, stack-8(SP)
	TESTQ CX, CX
	JNZ  set
	MOVQ $2, stack-16(SP)           // SS_DISABLE
set:
	LEAQ stack-24(SP), DI
	XORL SI, SI
	MOVL $SYS_sigaltstack, AX
	SYSCALL
	RET

// TIMESPEC makes the ns in AX a struct timespec at time-16(SP). It uses CX and DX.
#define TIMESPEC \
	XORL DX, DX; \
	MOVL $1000000000, CX; \
	DIVQ CX; \
	MOVQ AX, time-16(SP); \
	MOVQ DX, time-8(SP)

// func Sleep(ns int64)
TEXT ·Sleep(SB), NOSPLIT, $16-8
	MOVQ ns+0(FP), AX
	TIMESPEC
	LEAQ time-16(SP), DI
	XORL SI, SI
	MOVL $SYS_nanosleep, AX
	SYSCALL
	RET

TEXT ·Yield(SB), NOSPLIT, $0
	MOVL $SYS_sched_yield, AX
	SYSCALL
	RET

// func FutexWait(addr *uint32, val uint32, ns int64)
TEXT ·FutexWait(SB), NOSPLIT, $16-24
	XORL R10, R10
	MOVQ ns+16(FP), AX
	TESTQ AX, AX
	JS   wait
	TIMESPEC
	LEAQ time-16(SP), R10
wait:
	MOVQ addr+0(FP), DI
	MOVL $128, SI                   // FUTEX_WAIT, FUTEX_PRIVATE_FLAG
	MOVL val+8(FP), DX
	MOVL $SYS_futex, AX
	SYSCALL
	RET

// func FutexWake(addr *uint32)
TEXT ·FutexWake(SB), NOSPLIT, $0-8
	MOVQ addr+0(FP), DI
	MOVL $129, SI                   // FUTEX_WAKE, FUTEX_PRIVATE_FLAG
	MOVL $1, DX
	MOVL $SYS_futex, AX
	SYSCALL
	RET

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

// func ProcID() uint64
TEXT ·ProcID(SB), NOSPLIT, $0-8
	MOVL $SYS_gettid, AX
	SYSCALL
	MOVQ AX, ret+0(FP)
	RET

// The clocks are the lower half's, which run in the upper half as a vDSO does.

TEXT ·Nanotime(SB), NOSPLIT|NOFRAME, $0-8
	JMP keel∕vmkernel∕core·vdsoMonotonic(SB)

TEXT ·Walltime(SB), NOSPLIT|NOFRAME, $0-8
	JMP keel∕vmkernel∕core·vdsoRealtime(SB)

// func Write(fd uintptr, buf unsafe.Pointer, n int32) int32
TEXT ·Write(SB), NOSPLIT, $0-28
	MOVQ fd+0(FP), DI
	MOVQ buf+8(FP), SI
	MOVLQSX n+16(FP), DX
	MOVL $SYS_write, AX
	SYSCALL
	MOVL AX, ret+24(FP)
	RET

// func GiveBack(v unsafe.Pointer, n uintptr)
TEXT ·GiveBack(SB), NOSPLIT, $0-16
	MOVQ v+0(FP), DI
	MOVQ n+8(FP), SI
	MOVL $4, DX                     // MADV_DONTNEED
	MOVL $SYS_madvise, AX
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
