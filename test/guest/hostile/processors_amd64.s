#include "routine.h"

#define APIC 0xFEE00000

// Memory below 1 MiB. Every page begins with code in which a processor stays that SIPI starts there.
#define HALTS 0x600   // what the interrupt table leads to
#define NMIS 0x610    // counts at COUNT, and returns
#define COUNT 0x620
#define ALIVE 0x640   // a word for each processor, which it counts in

// ICR commands, as they are written.
#define INIT_OTHERS 0xC4500
#define NMI_OTHERS 0xC4400
#define INIT_ONE 0x4500
#define SIPI_ONE 0x4600

// SNIPPET puts up to four bytes of code at an address.
#define SNIPPET(at, code) \
	MOVL $at, DI      \
	MOVL $code, (DI)

// processors starts, resets and interrupts the seven others without any order, in whatever state
// they are, and at pages that no operating system starts one at. Then each must start as it should.
ROUTINE(·processors, ·processorsPC)
	XORL DI, DI
	MOVL $HALTS, AX
table:
	MOVL AX, (DI)
	ADDL $4, DI
	CMPL DI, $0x400
	JB   table
	SNIPPET(8, NMIS)
	SNIPPET(HALTS, 0xFDEBF4)    // HLT; JMP
	SNIPPET(NMIS, 0x062006FE)   // INC BYTE [COUNT]
	MOVB $0xCF, 4(DI)           // IRET
	MOVL $0x1000, DI
pages:
	MOVL $0xFDEBF4, (DI)
	ADDL $0x1000, DI
	CMPL DI, $0x100000
	JB   pages
	SNIPPET(0x8000, 0xFEEB)     // JMP
	SNIPPET(0x9000, 0x0B0F)     // UD2
	SNIPPET(0xA000, 0xFCEB80CD) // INT 80H; JMP
	SNIPPET(0xB000, 0xFCEB80E6) // OUT 80H; JMP
	SNIPPET(0xC000, 0xFCEB90F3) // PAUSE; JMP
	SNIPPET(0xD000, 0xFDEBF4FB) // STI; HLT; JMP
	// Page 10H+n: LOCK INC WORD [ALIVE+2n]; JMP.
	MOVL $0x11000, DI
	MOVQ $0x00F9EB064206FFF0, AX
counting:
	MOVQ AX, (DI)
	MOVQ $0x2000000, CX
	ADDQ CX, AX
	ADDL $0x1000, DI
	CMPL DI, $0x18000
	JB   counting

	MOVL $APIC, DI
	MOVL $INIT_OTHERS, 0x300(DI)
	MOVQ $1, R10
	MOVL $3000, R11
each:
	MOVQ $6364136223846793005, AX // Knuth's MMIX
	IMULQ AX, R10
	MOVQ $1442695040888963407, AX
	ADDQ AX, R10
	MOVQ R10, BX
	SHRQ $32, BX
	// A destination from 0 to 7, which is only for what 0 can stand.
	MOVL BX, CX
	SHRL $8, CX
	ANDL $7, CX
	MOVL CX, DX
	SHLL $24, DX
	MOVL BX, AX
	ANDL $0xFF, AX // SIPI's page, every other time one of those that run
	TESTL $0x200000, BX
	JEQ  page
	ANDL $0x1F, AX
page:
	MOVL BX, SI
	SHRL $16, SI
	ANDL $7, SI
	CMPL SI, $2
	JB   sipi
	JEQ  init
	CMPL SI, $4
	JB   nmi
	JEQ  any
	CMPL SI, $6
	JB   nmis
	JEQ  start
	// All others: INIT, or a SIPI to the same page.
	MOVL $INIT_OTHERS, CX
	MOVL CX, 0x300(DI)
	TESTL $0x100000, BX
	JEQ  next
	ORL  $0xC4600, AX
	MOVL AX, 0x300(DI)
	JMP  next
nmis:
	MOVL $NMI_OTHERS, CX
	MOVL CX, 0x300(DI)
	JMP  next
nmi:
	TESTL CX, CX
	JEQ  next
	MOVL DX, 0x310(DI)
	MOVL $0x4400, CX
	MOVL CX, 0x300(DI)
	JMP  next
any: // a vector above those of exceptions, by a delivery mode that is fixed, lowest, SMI or reserved
	MOVL DX, 0x310(DI)
	ORL  $0x4020, AX
	MOVL BX, CX
	SHRL $12, CX
	ANDL $0x300, CX
	ORL  CX, AX
	MOVL AX, 0x300(DI)
	JMP  next
init:
	TESTL CX, CX
	JEQ  next
	MOVL DX, 0x310(DI)
	MOVL $INIT_ONE, CX
	MOVL CX, 0x300(DI)
	JMP  next
start:
	TESTL CX, CX
	JEQ  next
	MOVL DX, 0x310(DI)
	MOVL $INIT_ONE, CX
	MOVL CX, 0x300(DI)
	ORL  $SIPI_ONE, AX
	MOVL AX, 0x300(DI)
	MOVL AX, 0x300(DI)
	JMP  next
sipi: // to itself as well
	MOVL DX, 0x310(DI)
	ORL  $SIPI_ONE, AX
	MOVL AX, 0x300(DI)
next:
	SHRL $21, BX
spin:
	DECL BX
	JGT  spin
	DECL R11
	JNZ  each

	MOVL $INIT_OTHERS, 0x300(DI)
	MOVL $1, R9
alive:
	MOVL R9, DX
	SHLL $24, DX
	MOVL DX, 0x310(DI)
	MOVL $INIT_ONE, 0x300(DI)
	LEAL (SIPI_ONE+0x10)(R9), AX
	LEAL ALIVE(R9)(R9*1), BX
	MOVW $0, (BX)
	MOVL AX, 0x300(DI)
	MOVL $20000000, CX
wait:
	MOVWLZX (BX), DX
	CMPL DX, $2
	JAE  lives
	PAUSE
	DECL CX
	JNZ  wait
	WRONG
lives:
	MOVL $INIT_ONE, 0x300(DI)
	INCL R9
	CMPL R9, $8
	JB   alive
	RET
	END
