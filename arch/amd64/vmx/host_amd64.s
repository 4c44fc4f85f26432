#include "textflag.h"
#include "go_asm.h"

// The assembler doesn't know these.
#define MOVQ_DR1_AX	BYTE $0x0F; BYTE $0x21; BYTE $0xC8
#define MOVQ_DR2_AX	BYTE $0x0F; BYTE $0x21; BYTE $0xD0

#define XSETBV	BYTE $0x0F; BYTE $0x01; BYTE $0xD1

// WRMSR of a quadword in memory.
#define SET_MSR(msr, from) \
	MOVL from, AX; \
	MOVL 4+from, DX; \
	MOVL $msr, CX; \
	WRMSR

TEXT ·switchIn(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ s+0(FP), DI
	MOVQ const_stateCR2(DI), CX
	MOVQ CX, CR2
	MOVQ area+8(FP), BX
	MOVL $const_hostXCR0, AX
	XORL DX, DX
	XRSTOR64 (BX)
	MOVQ const_stateXCR0(DI), AX
	CMPQ AX, $const_hostXCR0
	JEQ  msrs
	MOVQ AX, DX
	SHRQ $32, DX
	XORL CX, CX
	XSETBV
msrs:
	SET_MSR(const_msrSTAR, const_stateSTAR(DI))
	SET_MSR(const_msrLSTAR, const_stateLSTAR(DI))
	SET_MSR(const_msrSFMASK, const_stateSFMASK(DI))
	RET

TEXT ·switchOut(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ h+0(FP), SI
	MOVQ s+8(FP), DI
	MOVQ area+16(FP), BX
	MOVL $const_hostXCR0, AX
	XORL DX, DX
	CMPQ const_stateXCR0(DI), AX
	JEQ  vectors
	XORL CX, CX
	XSETBV
vectors:
	XSAVE64 (BX)
	MOVQ clean+24(FP), BX
	XRSTOR64 (BX)
	MOVQ CR2, AX
	MOVQ AX, const_stateCR2(DI)
	SET_MSR(const_msrSTAR, host_star(SI))
	SET_MSR(const_msrLSTAR, host_lstar(SI))
	SET_MSR(const_msrSFMASK, host_sfmask(SI))
	RET

TEXT ·saveRest(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ s+0(FP), DI
	MOVL $const_msrKernelGS, CX
	RDMSR
	MOVL AX, const_stateKernelGS(DI)
	MOVL DX, (const_stateKernelGS+4)(DI)
	MOVQ DR0, AX
	MOVQ AX, (const_stateDR+0)(DI)
	MOVQ_DR1_AX
	MOVQ AX, (const_stateDR+8)(DI)
	MOVQ_DR2_AX
	MOVQ AX, (const_stateDR+16)(DI)
	MOVQ DR3, AX
	MOVQ AX, (const_stateDR+24)(DI)
	MOVQ DR6, AX
	MOVQ AX, const_stateDR6(DI)
	RET
