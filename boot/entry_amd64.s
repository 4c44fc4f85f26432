#include "textflag.h"

// entry32 is where PVH and multiboot2 loaders enter: 32-bit protected mode with flat segments,
// paging and interrupts off; multiboot2 leaves its magic in EAX and the address of its
// information in EBX, PVH leaves the address of hvm_start_info in EBX (multiboot2 3.3, PVH "x86/HVM
// direct boot ABI").
//
// The Go assembler only emits 64-bit code. So only instructions are used whose encoding is the
// same in both modes: no REX prefix, no RIP-relative address but the one that is corrected by
// hand, no one-byte INC and DEC.
TEXT ·entry32(SB), NOSPLIT|NOFRAME, $0
	CLI
	CLD
	MOVL AX, SI
	MOVL BX, DI

	// The ELF header's page (image base 0x1000000, tools/mkimage checks it) has done its work:
	// its end is the stack for one call, by which the code learns where it is.
	MOVL $0x1000E00, SP
	BYTE $0xE8; LONG $0             // CALL to the next instruction
	POPQ CX                         // POPL: its own address
	LEAL ·addresses(SB), BX         // in 32-bit mode: ·addresses minus the address after it...
	ADDL CX, BX
	ADDL $7, BX                     // ...which is 1 + 6 bytes from the POPL

	// Page tables: the first 4 GiB in 2 MiB pages, at 0 and at the direct map (PML4 entry 256).
	MOVL 0(BX), DX
	ADDL $4095, DX
	ANDL $-4096, DX
	LEAL 0x1003(DX), AX
	MOVL AX, 0(DX)
	MOVL AX, 0x800(DX)
	LEAL 0x2003(DX), AX
	MOVL AX, 0x1000(DX)
	ADDL $0x1000, AX
	MOVL AX, 0x1008(DX)
	ADDL $0x1000, AX
	MOVL AX, 0x1010(DX)
	ADDL $0x1000, AX
	MOVL AX, 0x1018(DX)
	XORL CX, CX
	MOVL $0x83, AX
fill:
	MOVL AX, 0x2000(DX)(CX*8)
	ADDL $0x200000, AX
	ADDL $1, CX
	CMPL CX, $2048
	JNE  fill

	MOVL DX, AX
	MOVL AX, CR3
	MOVL CR4, AX
	ORL  $0x620, AX                 // PAE, OSFXSR, OSXMMEXCPT
	MOVL AX, CR4
	MOVL $0xC0000080, CX            // EFER
	RDMSR
	ORL  $0x901, AX                 // SCE, LME, NXE
	WRMSR
	MOVL CR0, AX
	ANDL $~0x6000000C, AX           // CD, NW, EM, TS off
	ORL  $0x80010023, AX            // PG, WP, NE, MP, PE
	MOVL AX, CR0
	MOVL 8(BX), AX
	LGDT (AX)
	MOVL $8, AX
	PUSHQ AX
	MOVL 16(BX), AX
	PUSHQ AX
	BYTE $0xCB                      // RETF into 64-bit code

TEXT ·entry64(SB), NOSPLIT|NOFRAME, $0
	MOVL $0x10, AX
	MOVW AX, SS
	MOVW AX, DS
	MOVW AX, ES
	JMP  keel∕vmkernel∕core·entry(SB)

DATA ·addresses+0(SB)/8, $·tables(SB)
DATA ·addresses+8(SB)/8, $·gdtr(SB)
DATA ·addresses+16(SB)/8, $·entry64(SB)
GLOBL ·addresses(SB), RODATA|NOPTR, $24

DATA ·gdt+8(SB)/8, $0x00AF9B000000FFFF  // 64-bit code
DATA ·gdt+16(SB)/8, $0x00CF93000000FFFF // data
GLOBL ·gdt(SB), RODATA|NOPTR, $24

DATA ·gdtr+0(SB)/2, $23
DATA ·gdtr+2(SB)/8, $·gdt(SB)
GLOBL ·gdtr(SB), RODATA|NOPTR, $16

GLOBL ·tables(SB), NOPTR, $0x7000
