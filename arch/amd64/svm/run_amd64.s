#include "go_asm.h"
#include "textflag.h"

// The assembler doesn't know these (APM 3). VMRUN, VMLOAD and VMSAVE take the address in RAX.
#define VMRUN  BYTE $0x0F; BYTE $0x01; BYTE $0xD8
#define VMLOAD BYTE $0x0F; BYTE $0x01; BYTE $0xDA
#define VMSAVE BYTE $0x0F; BYTE $0x01; BYTE $0xDB
#define STGI   BYTE $0x0F; BYTE $0x01; BYTE $0xDC
#define CLGI   BYTE $0x0F; BYTE $0x01; BYTE $0xDD

// func run(vmcb, host uint64, s *virt.State)
//
// From CLGI to STGI nothing interrupts, so that no handler sees the guest's GS. Within, the host's
// IF is set: under V_INTR_MASKING it alone decides whether an external interrupt leaves the guest
// (APM 2 15.21.1). IF is off again before STGI, so an interrupt stays pending for the caller.
TEXT ·run(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ vmcb+0(FP), AX
	MOVQ host+8(FP), DX
	MOVQ s+16(FP), BX
	PUSHQ BP
	PUSHQ DX
	PUSHQ BX
	CLGI
	VMLOAD
	STI
	MOVUPS const_offX14(BX), X14
	MOVUPS const_offX15(BX), X15
	MOVQ (const_offGPR+1*8)(BX), CX
	MOVQ (const_offGPR+2*8)(BX), DX
	MOVQ (const_offGPR+5*8)(BX), BP
	MOVQ (const_offGPR+6*8)(BX), SI
	MOVQ (const_offGPR+7*8)(BX), DI
	MOVQ (const_offGPR+8*8)(BX), R8
	MOVQ (const_offGPR+9*8)(BX), R9
	MOVQ (const_offGPR+10*8)(BX), R10
	MOVQ (const_offGPR+11*8)(BX), R11
	MOVQ (const_offGPR+12*8)(BX), R12
	MOVQ (const_offGPR+13*8)(BX), R13
	MOVQ (const_offGPR+14*8)(BX), R14
	MOVQ (const_offGPR+15*8)(BX), R15
	MOVQ (const_offGPR+3*8)(BX), BX
	VMRUN

	// RAX and RSP are the host's again: the VMCB and the stack as they were.
	VMSAVE
	MOVQ 0(SP), AX
	MOVQ CX, (const_offGPR+1*8)(AX)
	MOVQ DX, (const_offGPR+2*8)(AX)
	MOVQ BX, (const_offGPR+3*8)(AX)
	MOVQ BP, (const_offGPR+5*8)(AX)
	MOVQ SI, (const_offGPR+6*8)(AX)
	MOVQ DI, (const_offGPR+7*8)(AX)
	MOVQ R8, (const_offGPR+8*8)(AX)
	MOVQ R9, (const_offGPR+9*8)(AX)
	MOVQ R10, (const_offGPR+10*8)(AX)
	MOVQ R11, (const_offGPR+11*8)(AX)
	MOVQ R12, (const_offGPR+12*8)(AX)
	MOVQ R13, (const_offGPR+13*8)(AX)
	MOVQ R14, (const_offGPR+14*8)(AX)
	MOVQ R15, (const_offGPR+15*8)(AX)
	MOVUPS X14, const_offX14(AX)
	MOVUPS X15, const_offX15(AX)
	MOVQ 8(SP), AX
	VMLOAD
	CLI
	STGI
	POPQ BX
	POPQ DX
	POPQ BP
	RET

// func vmsave(page uint64)
TEXT ·vmsave(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ page+0(FP), AX
	VMSAVE
	RET
