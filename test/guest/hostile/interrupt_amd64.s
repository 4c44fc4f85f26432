#include "routine.h"

#define APIC 0xFEE00000
#define IOAPIC 0xFEC00000

// RANDOM makes the next of a sequence in R10 (Knuth's MMIX) and its upper bits in AX.
#define RANDOM \
	MOVQ $6364136223846793005, AX \
	IMULQ AX, R10                 \
	MOVQ $1442695040888963407, AX \
	ADDQ AX, R10                  \
	MOVQ R10, AX                  \
	SHRQ $32, AX

// RESTORE gives the local APIC usable values.
#define RESTORE \
	MOVL $APIC, DI             \
	MOVL $0, 0x380(DI)         \
	MOVL $0x10000, 0x320(DI)   \
	MOVL $0x10000, 0x330(DI)   \
	MOVL $0x10000, 0x340(DI)   \
	MOVL $0x10000, 0x350(DI)   \
	MOVL $0x10000, 0x360(DI)   \
	MOVL $0x10000, 0x370(DI)   \
	MOVL $0, 0x80(DI)          \
	MOVL $0x1FF, 0xF0(DI)      \
	MOVL $-1, 0xE0(DI)         \
	MOVL $0, 0xB0(DI)

// apic writes random values to the registers of the APICs. Bit 5 is set in all of them, which keeps
// vectors away from those of exceptions; the command register gets no INIT, SIPI or SMI.
ROUTINE(·apic, ·apicPC)
	MOVB $0xFF, AL // a BIOS leaves the 8259s on, whose timer would come as a double fault
	OUTB $0x21
	OUTB $0xA1
	MOVQ $1, R10
	MOVL $20000, R11
	STI
each:
	RANDOM
	MOVL AX, DI
	ANDL $0x3F0, DI
	MOVL $APIC, CX
	ORQ  CX, DI
	RANDOM
	ORL  $0x20, AX
	ADDQ $0x300, CX
	CMPQ DI, CX
	JNE  write
	ANDL $~0x700, AX
	TESTL $0x1000, AX // sometimes an NMI to itself
	JEQ  write
	MOVL $0x40400, AX
write:
	MOVL AX, (DI)
	MOVL (DI), CX
	// The IOAPIC: index, data. Delivery by fixed or lowest priority.
	RANDOM
	MOVL $IOAPIC, DI
	MOVL AX, (DI)
	RANDOM
	ANDL $~0x600, AX
	ORL  $0x20, AX
	MOVL AX, 0x10(DI)
	MOVL 0x10(DI), CX
	DECL R11
	JNZ  each
	// Sizes and places that no register has.
	MOVL $APIC, DI
	MOVB 0x21(DI), AX
	MOVW 0x31(DI), AX
	MOVQ 0x3FC(DI), AX
	MOVB $0x20, 0x83(DI)
	MOVL $0x20, 0xFFC(DI)
	MOVL $0x20, 0x400(DI)
	CLI
	// All pins of the IOAPIC masked.
	MOVL $IOAPIC, DI
	MOVL $0x10, BX
mask:
	MOVL BX, (DI)
	MOVL $0x10000, 0x10(DI)
	ADDL $2, BX
	CMPL BX, $0x40
	JB   mask
	RESTORE
	RET
	END

// STORM sends itself interrupts of all vectors and has the timer fire after every count ticks.
#define STORM(count) \
	RESTORE                   \
	MOVL $0xB, 0x3E0(DI)      \ // divide by 1
	MOVL $0x20040, 0x320(DI)  \ // periodic, vector 40H
	MOVL $count, 0x380(DI)    \
	STI                       \
	MOVL $20000, R11          \
	MOVL $0x20, BX            \
each:                             \
	MOVL BX, AX               \
	ORL  $0x40000, AX         \ // to itself
	MOVL AX, 0x300(DI)        \
	INCL BX                   \
	CMPL BX, $0x100           \
	JB   more                 \
	MOVL $0x20, BX            \
more:                             \
	DECL R11                  \
	JNZ  each                 \
	MOVL $2000000, R11        \
spin:                             \
	DECL R11                  \
	JNZ  spin                 \
	CLI                       \
	RESTORE                   \
	RET

ROUTINE(·storm, ·stormPC)
	STORM(10000)
	END

ROUTINE(·hurricane, ·hurricanePC)
	STORM(1)
	END

// PIT runs the 8254's counter 0 in mode 2 with a count of 2, its smallest, through the 8259.
#define PIT \
	RESTORE                \
	MOVL $0x700, 0x350(DI) \ // LINT0: ExtINT
	MOVL $0x11, AX         \ // the 8259s: ICW1 to ICW4, vectors from 20H and 28H, IRQ 0 alone
	OUTB $0x20             \
	OUTB $0xA0             \
	MOVL $0x20, AX         \
	OUTB $0x21             \
	MOVL $0x28, AX         \
	OUTB $0xA1             \
	MOVL $4, AX            \
	OUTB $0x21             \
	MOVL $2, AX            \
	OUTB $0xA1             \
	MOVL $1, AX            \
	OUTB $0x21             \
	OUTB $0xA1             \
	MOVL $0xFE, AX         \
	OUTB $0x21             \
	MOVL $0xFF, AX         \
	OUTB $0xA1             \
	MOVL $0x34, AX         \ // counter 0, both bytes, mode 2
	OUTB $0x43             \
	MOVL $2, AX            \
	OUTB $0x40             \
	MOVL $0, AX            \
	OUTB $0x40

// NOPIT masks the 8259 and gives counter 0 one shot that never comes.
#define NOPIT \
	MOVL $0xFF, AX \
	OUTB $0x21     \
	MOVL $0x30, AX \
	OUTB $0x43     \
	RESTORE

ROUTINE(·pit, ·pitPC)
	PIT
	STI
	MOVL $4000000, R11
spin:
	DECL R11
	JNZ  spin
	CLI
	NOPIT
	RET
	END

// timers has the 8254 and the local APIC's timer fire at their fastest, and takes none of it: CLI
// comes before the interrupt that STI lets in.
ROUTINE(·timers, ·timersPC)
	PIT
	MOVL $APIC, DI
	MOVL $0xB, 0x3E0(DI)     // divide by 1
	MOVL $0x20040, 0x320(DI) // periodic, vector 40H
	MOVL $1, 0x380(DI)
	MOVL $1000000, R11
spin:
	STI
	CLI
	DECL R11
	JNZ  spin
	NOPIT
	RET
	END

// deadline sets the timer to a time that is over, again and again: first with interrupts on, then off.
ROUTINE(·deadline, ·deadlinePC)
	RESTORE
	MOVL $0x40040, 0x320(DI) // TSC-deadline, vector 40H
	MOVL $10000, R11
	MOVL $0x6E0, CX
	XORL DX, DX
	STI
each:
	MOVL $1, AX
	MAY(2)
	WRMSR
	CMPL R11, $5000
	JNE  more
	CLI
more:
	DECL R11
	JNZ  each
	RESTORE
	RET
	END

// selfModify stores EAX and ECX in turn to the IOAPIC's index register by one instruction, whose
// second byte it changes: 89 07 is MOV [RDI], EAX and 89 0F is MOV [RDI], ECX. What the register
// then holds says which instruction was executed.
ROUTINE(·selfModify, ·selfModifyPC)
	MOVL $IOAPIC, DI
	MOVL $const_vars+0x2000, BX // the instruction, and a return
	MOVL $0x00C30789, (BX)
	MOVL $1000, R11
each:
	MOVL $0x12, AX
	MOVL $0x21, CX
	MOVB $0x07, 1(BX)
	CALL BX
	MOVL (DI), DX
	CMPL DX, $0x12
	JNE  wrong
	MOVB $0x0F, 1(BX)
	CALL BX
	MOVL (DI), DX
	CMPL DX, $0x21
	JNE  wrong
	DECL R11
	JNZ  each
	RET
wrong:
	MOVL DX, R9
	WRONG
	END
