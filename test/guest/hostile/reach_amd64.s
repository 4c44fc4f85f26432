#include "routine.h"

// TOUCH reads and writes BX bytes of AX at DI: 8, 4, 2 or 1. Each may fault.
#define TOUCH \
	MAY(3)         \
	MOVQ (DI), DX  \
	MOVQ AX, (DI)  \
	MAY(2)         \
	MOVL (DI), DX  \
	MOVL AX, (DI)  \
	MOVB (DI), DX  \
	MOVB AX, (DI)  \
	MAY(3)         \
	MOVW (DI), DX  \
	MOVW AX, (DI)

// memory touches the first MiB by pages, then all of the first 4 GiB but the kernel itself in steps
// that hit every offset, then addresses up to 2⁵², then addresses that aren't any.
ROUTINE(·memory, ·memoryPC)
	MOVQ $0x5A5A5A5A5A5A5A5A, AX
	XORL DI, DI
low:
	TOUCH
	ADDQ $0x7F8, DI
	CMPQ DI, $0x100000
	JB   low
	MOVL $0x200000, DI
walk:
	TOUCH
	ADDQ $0x80F38, DI
	MOVL $0xFFFFFFF0, CX
	CMPQ DI, CX
	JB   walk
	// The bytes that end at 4 GiB, and those that go beyond.
	MOVL $0xFFFFFFF8, DI
	TOUCH
	MOVL $0xFFFFFFFD, DI
	TOUCH

	MOVL $32, R9
high:
	MOVQ $0x83, DX // present, writable, 2 MiB
	MOVQ $1, BX
	MOVQ R9, CX
	SHLQ CX, BX
	ORQ  DX, BX
	MOVQ $const_windowPD, CX
	MOVQ BX, (CX)
	MOVQ $const_window, DI
	INVLPG (DI)
	TOUCH
	ADDQ $0x1FFFF5, DI
	TOUCH
	INCQ R9
	CMPQ R9, $52
	JB   high

	MOVQ $0x8000000000000000, DI // not canonical
	TOUCH
	MOVQ $0xFFFFFFFFFFFFFFF9, DI // canonical, not mapped
	TOUCH
	RET
	END

// ports reads and writes every port but the exit port in all sizes. What is written resets nothing:
// bit 2 for CF9H, bit 5 of the second byte for the PM1 control register and FEH for 64H are avoided.
ROUTINE(·ports, ·portsPC)
	XORL BX, BX
each:
	LEAL -(const_ExitPort-3)(BX), CX
	CMPL CX, $7
	JB   skip
	MOVL BX, DX
	INB
	INW
	INL
	MOVL $0x5A5A5A5A, AX
	CMPL BX, $0x3F8 // what COM1 sends is the host's to show
	JEQ  skip
	OUTB
	OUTW
	OUTL
skip:
	INCL BX
	CMPL BX, $0x10000
	JB   each
	// COM1 as print expects it: 8 bits, no divisor latch, no loop, no interrupts.
	MOVL $0x3FB, DX
	MOVL $3, AX
	OUTB
	MOVL $0x3FC, DX
	OUTB
	MOVL $0x3F9, DX
	XORL AX, AX
	OUTB
	RET
	END

ROUTINE(·somePorts, ·somePortsPC)
	XORL BX, BX
each:
	LEAL -(const_ExitPort)(BX), CX
	CMPL CX, $4
	JB   skip
	MOVL BX, DX
	INB
	MOVL $0x5A, AX
	CMPL BX, $0x3F8
	JEQ  skip
	OUTB
skip:
	INCL BX
	CMPL BX, $0x1000
	JB   each
	MOVL $0x3FB, DX
	MOVL $3, AX
	OUTB
	MOVL $0x3FC, DX
	OUTB
	MOVL $0x3F9, DX
	XORL AX, AX
	OUTB
	RET
	END

// ONEOUT moves a byte to a port by OUTSB, ONEIN one from there to DX by INSB, through (BX).
#define ONEOUT(port, byte) \
	MOVB $byte, (BX)   \
	MOVQ BX, SI        \
	MOVL $port, DX     \
	OUTSB

#define ONEIN(port) \
	MOVQ BX, DI        \
	MOVL $port, DX     \
	INSB               \
	MOVBLZX (BX), DX

// strings reaches the interrupt controllers and timers by string instructions, and looks whether they
// answer as they do to others.
ROUTINE(·strings, ·stringsPC)
	CLD
	MOVL $const_vars+0x2000, BX
	// The 8259's mask: the last of three bytes stays.
	MOVL $1, R9
	MOVL $0x5AA511, (BX)
	MOVQ BX, SI
	MOVL $3, CX
	MOVL $0x21, DX
	REP; OUTSB
	INB
	CMPB AX, $0x5A
	JNE  wrong
	INCL R9
	MOVL $0, (BX)
	MOVQ BX, DI
	MOVL $3, CX
	REP; INSB
	MOVL (BX), DX
	CMPL DX, $0x5A5A5A
	JNE  wrong
	ONEOUT(0x21, 0xFF)
	// ELCR: IRQ 5 level-triggered.
	INCL R9
	ONEOUT(0x4D0, 0x20)
	ONEIN(0x4D0)
	CMPL DX, $0x20
	JNE  wrong
	ONEOUT(0x4D0, 0)
	// The 8254's counter 2, one shot from 4000H with the gate off (which QEMU's ignores).
	INCL R9
	ONEOUT(0x61, 0)
	ONEOUT(0x43, 0xB0)
	MOVL $0x4000, (BX)
	MOVQ BX, SI
	MOVL $2, CX
	MOVL $0x42, DX
	REP; OUTSB
	ONEOUT(0x43, 0x80)
	MOVL $0, (BX)
	MOVQ BX, DI
	MOVL $2, CX
	MOVL $0x42, DX
	REP; INSB
	MOVL (BX), DX
	CMPL DX, $0x4000
	JHI  wrong
	TESTL DX, DX
	JEQ  wrong
	// Port 61H: the gate, and what was counted since.
	INCL R9
	ONEOUT(0x61, 1)
	ONEIN(0x61)
	ANDL $3, DX
	CMPL DX, $1
	JNE  wrong
	ONEOUT(0x61, 0)
	// The PM timer, twice: it isn't all ones, and moves.
	INCL R9
	MOVQ BX, DI
	MOVL $0x608, DX
	INSL
	MOVL $10000, CX
spin:
	DECL CX
	JNZ  spin
	INSL
	MOVL (BX), DX
	CMPL DX, $-1
	JEQ  wrong
	CMPL DX, 4(BX)
	JEQ  wrong
	// More elements than one exit moves.
	INCL R9
	MOVQ BX, SI
	MOVL $3000, CX
	MOVL $0x80, DX
	REP; OUTSB
	MOVL CX, DX
	TESTL CX, CX
	JNE  wrong
	SUBQ BX, SI
	MOVL SI, DX
	CMPL DX, $3000
	JNE  wrong
	RET
wrong:
	SHLL $24, R9
	ORL  DX, R9
	WRONG
	END

// RANGE reads the MSRs from first on, and writes to each what it read, ones, and zero. The
// registers that the kernel itself lives by are only written with what is reserved.
#define RANGE(each, skip, first, count) \
	MOVL $first, BX    \
each:                      \
	MOVL BX, CX        \
	XORL AX, AX        \
	XORL DX, DX        \
	MAY(2)             \
	RDMSR              \
	MOVL BX, CX        \
	WRMSR              \
	MOVL $-1, AX       \
	MOVL $-1, DX       \
	WRMSR              \
	CMPL BX, $0xC0000080 \ // EFER
	JEQ  skip          \
	CMPL BX, $0x1B     \ // APIC base: disabled, it stays so
	JEQ  skip          \
	XORL AX, AX        \
	XORL DX, DX        \
	WRMSR              \
skip:                      \
	INCL BX            \
	CMPL BX, $(first+count) \
	JNE  each

ROUTINE(·msrs, ·msrsPC)
	RANGE(low, lowSkip, 0, 0x1000)
	RANGE(hyper, hyperSkip, 0x40000000, 0x200)
	RANGE(kvm, kvmSkip, 0x4B564D00, 0x20)
	RANGE(amd, amdSkip, 0xC0000000, 0x400)
	RANGE(amd2, amd2Skip, 0xC0010000, 0x200)
	RANGE(last, lastSkip, 0x7FFFFFC0, 0x80)
	RET
	END

// TRY runs an instruction of three bytes, FOUR of four.
#define TRY(a, b, c) BYTE $a; BYTE $b; BYTE $c;
#define TRY2(a, b) BYTE $a; BYTE $b;
#define FOUR(a, b, c, d) BYTE $a; BYTE $b; BYTE $c; BYTE $d;

// virt runs what only a host may: each instruction is undefined, refused, or without effect.
ROUTINE(·virt, ·virtPC)
	MOVL $const_vars+4096, DI
	MOVQ DI, AX
	XORL CX, CX
	XORL DX, DX
	MAY(3)
	TRY(0x0F, 0x01, 0xC1) // VMCALL
	TRY(0x0F, 0x01, 0xC2) // VMLAUNCH
	TRY(0x0F, 0x01, 0xC3) // VMRESUME
	TRY(0x0F, 0x01, 0xC4) // VMXOFF
	TRY(0x0F, 0x01, 0xD4) // VMFUNC
	TRY(0x0F, 0xC7, 0x37) // VMPTRLD [RDI]
	TRY(0x0F, 0xC7, 0x3F) // VMPTRST [RDI]
	TRY(0x0F, 0x78, 0xD0) // VMREAD RAX, RDX
	TRY(0x0F, 0x79, 0xC2) // VMWRITE RAX, RDX
	TRY(0x0F, 0x01, 0xD8) // VMRUN
	TRY(0x0F, 0x01, 0xD9) // VMMCALL
	TRY(0x0F, 0x01, 0xDA) // VMLOAD
	TRY(0x0F, 0x01, 0xDB) // VMSAVE
	TRY(0x0F, 0x01, 0xDC) // STGI
	TRY(0x0F, 0x01, 0xDD) // CLGI
	TRY(0x0F, 0x01, 0xDE) // SKINIT
	TRY(0x0F, 0x01, 0xDF) // INVLPGA
	TRY(0x0F, 0x01, 0xC0) // ENCLV
	TRY(0x0F, 0x01, 0xC5) // PCONFIG
	TRY(0x0F, 0x01, 0xCF) // ENCLS
	TRY(0x0F, 0x01, 0xD7) // ENCLU
	TRY(0x0F, 0x01, 0xC8) // MONITOR
	TRY(0x0F, 0x01, 0xC9) // MWAIT
	TRY(0x0F, 0x01, 0xFA) // MONITORX
	TRY(0x0F, 0x01, 0xFB) // MWAITX
	TRY(0x0F, 0x01, 0xEE) // RDPKRU
	TRY(0x0F, 0x01, 0xEF) // WRPKRU
	TRY(0x0F, 0x01, 0xF9) // RDTSCP
	TRY(0x0F, 0x01, 0xD5) // XEND
	TRY(0x0F, 0x01, 0xD0) // XGETBV
	MOVL $0xFF, AX
	TRY(0x0F, 0x01, 0xD1) // XSETBV without SSE's and x87's bits, or too many
	MOVL $-1, AX
	MOVL $-1, DX
	TRY(0x0F, 0x01, 0xD1)
	XORL AX, AX
	TRY(0x0F, 0x01, 0xD1)
	MAY(4)
	FOUR(0xF3, 0x0F, 0xC7, 0x37) // VMXON [RDI]
	FOUR(0x66, 0x0F, 0xC7, 0x37) // VMCLEAR [RDI]
	FOUR(0xF3, 0x0F, 0xC7, 0xF0) // SENDUIPI
	MAY(5)
	BYTE $0x66; BYTE $0x0F; BYTE $0x38; BYTE $0x80; BYTE $0x07 // INVEPT RAX, [RDI]
	BYTE $0x66; BYTE $0x0F; BYTE $0x38; BYTE $0x81; BYTE $0x07 // INVVPID RAX, [RDI]
	BYTE $0x66; BYTE $0x0F; BYTE $0x38; BYTE $0x82; BYTE $0x07 // INVPCID RAX, [RDI]
	MAY(2)
	TRY2(0x0F, 0x37) // GETSEC
	TRY2(0x0F, 0xAA) // RSM
	TRY2(0x0F, 0x33) // RDPMC
	TRY2(0x0F, 0x08) // INVD
	TRY2(0x0F, 0x09) // WBINVD
	TRY2(0x0F, 0x06) // CLTS
	MAY(1)
	BYTE $0xF1 // INT1
	MAY(2)
	TRY2(0xCD, 0x80) // INT 80H, which is there
	TRY2(0x0F, 0x0B) // UD2
	RET
	END

// control writes what they refuse to the control and debug registers.
ROUTINE(·control, ·controlPC)
	MAY(3)
	MOVQ $0x80000000, AX
	TRY(0x0F, 0x22, 0xC0) // CR0: PG without PE
	MOVQ $0x1000000000, AX
	TRY(0x0F, 0x22, 0xC0)
	MOVQ $0x20000001, AX
	TRY(0x0F, 0x22, 0xC0) // NW without CD
	MOVQ $-1, AX
	TRY(0x0F, 0x22, 0xC0)
	TRY(0x0F, 0x22, 0xE0) // CR4
	MOVQ $0x2620, AX
	TRY(0x0F, 0x22, 0xE0) // CR4.VMXE
	XORL AX, AX
	TRY(0x0F, 0x22, 0xE0) // CR4 without PAE
	MOVQ $-1, AX
	TRY(0x0F, 0x22, 0xD8) // CR3
	TRY(0x0F, 0x23, 0xF8) // DR7
	TRY(0x0F, 0x23, 0xF0) // DR6
	TRY(0x0F, 0x23, 0xE0) // DR4
	TRY(0x0F, 0x21, 0xE8) // DR5
	TRY(0x0F, 0x20, 0xC8) // CR1
	MAY(4)
	MOVL $0xFF, AX
	FOUR(0x44, 0x0F, 0x22, 0xC0) // CR8
	MOVL $15, AX
	FOUR(0x44, 0x0F, 0x22, 0xC0)
	XORL AX, AX
	FOUR(0x44, 0x0F, 0x22, 0xC0)
	MOVL $0x400, AX // what the kernel began with
	MAY(3)
	TRY(0x0F, 0x23, 0xF8)
	RET
	END

// fresh reads all from 2 MiB to FreshEnd, which must be zero, and writes each word's address there.
ROUTINE(·fresh, ·freshPC)
	MOVL $0x200000, R9
word:
	CMPQ (R9), $0
	JNE  left
	MOVQ R9, (R9)
	ADDQ $8, R9
	CMPQ R9, $const_FreshEnd
	JB   word
	RET
left:
	WRONG
	END
