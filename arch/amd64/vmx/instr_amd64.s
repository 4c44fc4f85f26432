#include "textflag.h"
#include "go_asm.h"

// Instructions that the assembler doesn't know (SDM 3C 31.3), with fixed operands.
#define VMXON_AX	BYTE $0xF3; BYTE $0x0F; BYTE $0xC7; BYTE $0x30 // VMXON (AX)
#define VMXOFF		BYTE $0x0F; BYTE $0x01; BYTE $0xC4
#define VMCLEAR_AX	BYTE $0x66; BYTE $0x0F; BYTE $0xC7; BYTE $0x30 // VMCLEAR (AX)
#define VMPTRLD_AX	BYTE $0x0F; BYTE $0xC7; BYTE $0x30 // VMPTRLD (AX)
#define VMPTRST_AX	BYTE $0x0F; BYTE $0xC7; BYTE $0x38 // VMPTRST (AX)
#define VMREAD_AX_CX	BYTE $0x0F; BYTE $0x78; BYTE $0xC1 // CX = the field that AX names
#define VMWRITE_CX_AX	BYTE $0x0F; BYTE $0x79; BYTE $0xC1 // the field that AX names = CX
#define INVEPT_CX_AX	BYTE $0x66; BYTE $0x0F; BYTE $0x38; BYTE $0x80; BYTE $0x01 // kind AX, descriptor (CX)
#define INVVPID_CX_AX	BYTE $0x66; BYTE $0x0F; BYTE $0x38; BYTE $0x81; BYTE $0x01

// VMfail sets CF or ZF (SDM 3C 31.2), so "above" is success.

TEXT ·vmxon(SB), NOSPLIT|NOFRAME, $0-9
	LEAQ pa+0(FP), AX
	VMXON_AX
	SETHI ok+8(FP)
	RET

TEXT ·vmxoff(SB), NOSPLIT|NOFRAME, $0-0
	VMXOFF
	RET

TEXT ·vmclear(SB), NOSPLIT|NOFRAME, $0-9
	LEAQ pa+0(FP), AX
	VMCLEAR_AX
	SETHI ok+8(FP)
	RET

TEXT ·vmptrld(SB), NOSPLIT|NOFRAME, $0-9
	LEAQ pa+0(FP), AX
	VMPTRLD_AX
	SETHI ok+8(FP)
	RET

TEXT ·vmread(SB), NOSPLIT|NOFRAME, $0-16
	MOVL field+0(FP), AX
	XORL CX, CX
	VMREAD_AX_CX
	MOVQ CX, ret+8(FP)
	RET

TEXT ·vmwrite(SB), NOSPLIT|NOFRAME, $0-17
	MOVL field+0(FP), AX
	MOVQ x+8(FP), CX
	VMWRITE_CX_AX
	SETHI ok+16(FP)
	RET

TEXT ·vmread2(SB), NOSPLIT|NOFRAME, $0-24
	MOVL first+0(FP), AX
	XORL CX, CX
	VMREAD_AX_CX
	MOVQ CX, x+8(FP)
	MOVL second+4(FP), AX
	XORL CX, CX
	VMREAD_AX_CX
	MOVQ CX, y+16(FP)
	RET

TEXT ·invept(SB), NOSPLIT|NOFRAME, $0-25
	MOVQ kind+0(FP), AX
	LEAQ eptp+8(FP), CX
	INVEPT_CX_AX
	SETHI ok+24(FP)
	RET

TEXT ·invvpid(SB), NOSPLIT|NOFRAME, $0-25
	MOVQ kind+0(FP), AX
	LEAQ vpid+8(FP), CX
	INVVPID_CX_AX
	SETHI ok+24(FP)
	RET

TEXT ·current(SB), NOSPLIT|NOFRAME, $0-24
	MOVL $const_msrGSBase, CX
	RDMSR
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, gs+0(FP)
	MOVL $const_msrFSBase, CX
	RDMSR
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, fs+8(FP)
	LEAQ vmcs+16(FP), AX
	VMPTRST_AX
	RET

// The base of a 64-bit TSS is in four pieces of its 16-byte descriptor (SDM 3A 8.2.3).
TEXT ·tables(SB), NOSPLIT, $16-32
	LEAQ 0(SP), BX
	BYTE $0x0F; BYTE $0x01; BYTE $0x0B // SIDT (BX)
	MOVQ 2(BX), AX
	MOVQ AX, idt+8(FP)
	BYTE $0x0F; BYTE $0x01; BYTE $0x03 // SGDT (BX)
	MOVQ 2(BX), BX
	MOVQ BX, gdt+0(FP)
	BYTE $0x0F; BYTE $0x00; BYTE $0xC8 // STR AX
	MOVWLZX AX, AX
	MOVQ AX, tr+24(FP)
	ANDL $0xFFF8, AX
	ADDQ AX, BX
	MOVQ 0(BX), CX
	MOVQ CX, DX
	SHRQ $16, CX
	ANDL $0xFFFFFF, CX
	SHRQ $56, DX
	SHLQ $24, DX
	ORQ  DX, CX
	MOVL 8(BX), DX
	SHLQ $32, DX
	ORQ  DX, CX
	MOVQ CX, tss+16(FP)
	RET

TEXT ·selectors(SB), NOSPLIT|NOFRAME, $0-16
	MOVW CS, AX
	MOVWLZX AX, AX
	MOVQ AX, cs+0(FP)
	MOVW SS, AX
	MOVWLZX AX, AX
	MOVQ AX, ss+8(FP)
	RET

TEXT ·int2(SB), NOSPLIT|NOFRAME, $0-0
	INT $2
	RET

TEXT ·int18(SB), NOSPLIT|NOFRAME, $0-0
	INT $18
	RET

TEXT ·exitAddress(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ ·vmexit(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·peek64(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ $const_directMap, AX
	ADDQ pa+0(FP), AX
	MOVQ (AX), AX
	MOVQ AX, ret+8(FP)
	RET

TEXT ·poke32(SB), NOSPLIT|NOFRAME, $0-12
	MOVQ $const_directMap, AX
	ADDQ pa+0(FP), AX
	MOVL x+8(FP), CX
	MOVL CX, (AX)
	RET

TEXT ·poke64(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ $const_directMap, AX
	ADDQ pa+0(FP), AX
	MOVQ x+8(FP), CX
	MOVQ CX, (AX)
	RET

TEXT ·fill(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ $const_directMap, DI
	ADDQ pa+0(FP), DI
	MOVQ x+8(FP), AX
	MOVQ n+16(FP), CX
	CLD
	REP
	STOSQ
	RET
