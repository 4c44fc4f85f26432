#include "textflag.h"
#include "go_asm.h"

#define VMLAUNCH	BYTE $0x0F; BYTE $0x01; BYTE $0xC2
#define VMRESUME	BYTE $0x0F; BYTE $0x01; BYTE $0xC3
#define VMREAD_AX_CX	BYTE $0x0F; BYTE $0x78; BYTE $0xC1 // CX = the field that AX names
#define VMWRITE_CX_AX	BYTE $0x0F; BYTE $0x79; BYTE $0xC1 // the field that AX names = CX

// TSC puts the time-stamp counter in AX; it destroys DX.
#define TSC \
	RDTSC; \
	SHLQ $32, DX; \
	ORQ DX, AX

// READ reads a field of the VMCS to CX; it destroys AX.
#define READ(field) \
	MOVL $field, AX; \
	VMREAD_AX_CX

#define GPR(n)	(const_stateGPR+8*(n))(SI)

// RETIRE adds DX to the RIP of VCPU DI's guest and leaves in R8 what else there is to do: see advance.
// It destroys AX and CX.
#define RETIRE \
	READ(const_GUEST_RIP); \
	MOVQ CX, R8; \
	ADDQ DX, CX; \
	VMWRITE_CX_AX; \
	XORQ CX, R8; \
	SHRQ $32, R8; \
	READ(const_GUEST_INTERRUPTIBILITY_STATE); \
	MOVL CX, VCPU_interruptibility(DI); \
	ANDL $const_skipBlocking, CX; \
	ORQ  CX, R8; \
	READ(const_GUEST_RFLAGS); \
	MOVQ CX, VCPU_rflags(DI); \
	ANDL $const_rflagsTF, CX; \
	ORQ  CX, R8; \
	MOVB $const_knownInterruptible, VCPU_known(DI)

// Go's ABI0 keeps no register but SP and BP, so those two are all of the host's that is saved; the
// wrapper around an ABI0 function reloads R14 and clears X15. MOVUPS leaves the upper halves of
// the guest's YMM14 and YMM15 alone.
TEXT ·enter(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ v+0(FP), DI
	MOVQ s+8(FP), SI
	MOVB $0, VCPU_known(DI)
	MOVB $0, VCPU_injecting(DI)
	MOVQ $const_notRetired, VCPU_rare(DI)
	CMPB VCPU_unusable(DI), $0
	JNE  unusable
	PUSHQ BP
	PUSHQ DI
	PUSHQ SI
	CMPQ SP, VCPU_hostRSP(DI) // the same at every entry but the first
	JEQ  load
	MOVQ SP, VCPU_hostRSP(DI)
	MOVQ SP, CX
	MOVL $const_HOST_RSP, AX
	VMWRITE_CX_AX
load:
	MOVUPS const_stateX14(SI), X14
	MOVUPS const_stateX15(SI), X15
	TSC
	MOVQ AX, VCPU_Entered(DI)
	CMPL VCPU_launched(DI), $0 // no MOV changes the flags
	MOVQ GPR(0), AX
	MOVQ GPR(1), CX
	MOVQ GPR(2), DX
	MOVQ GPR(3), BX
	MOVQ GPR(5), BP
	MOVQ GPR(7), DI
	MOVQ GPR(8), R8
	MOVQ GPR(9), R9
	MOVQ GPR(10), R10
	MOVQ GPR(11), R11
	MOVQ GPR(12), R12
	MOVQ GPR(13), R13
	MOVQ GPR(14), R14
	MOVQ GPR(15), R15
	MOVQ GPR(6), SI
	JNE  resume
	VMLAUNCH
	JMP  failed
resume:
	VMRESUME
failed: // the guest's registers are still in the State too
	POPQ SI
	POPQ DI
	POPQ BP
unusable:
	MOVQ VCPU_Entered(DI), AX
	MOVQ AX, VCPU_Exited(DI)
	MOVL $const_VMfail, const_stateReason(SI)
	MOVL $const_more, const_stateKind(SI)
	RET

// On the stack: State, VCPU, the host's BP, enter's return address.
TEXT ·vmexit(SB), NOSPLIT|NOFRAME, $0-0
	PUSHQ SI
	MOVQ 8(SP), SI
	MOVQ AX, GPR(0)
	MOVQ CX, GPR(1)
	MOVQ DX, GPR(2)
	MOVQ BX, GPR(3)
	MOVQ BP, GPR(5)
	MOVQ DI, GPR(7)
	MOVQ R8, GPR(8)
	MOVQ R9, GPR(9)
	MOVQ R10, GPR(10)
	MOVQ R11, GPR(11)
	MOVQ R12, GPR(12)
	MOVQ R13, GPR(13)
	MOVQ R14, GPR(14)
	MOVQ R15, GPR(15)
	POPQ AX
	MOVQ AX, GPR(6)
	MOVUPS X14, const_stateX14(SI)
	MOVUPS X15, const_stateX15(SI)
	MOVQ 8(SP), DI
	TSC
	MOVQ AX, VCPU_Exited(DI)

	READ(const_EXIT_REASON)
	MOVL CX, const_stateReason(SI)
	MOVL $const_kindCPUID, BX
	CMPL CX, $const_reasonCPUID
	JEQ  retire
	CMPL CX, $const_reasonIO
	JEQ  port
other:
	MOVL CX, DX
	XORL CX, CX // the length
	MOVL $const_more, BX
	CMPL DX, $const_kindCount
	JCC  done // a failed entry, or an exit unknown here
	LEAQ ·kinds(SB), BX
	MOVBLZX (BX)(DX*1), BX
	MOVL $1, VCPU_launched(DI)
	CMPL DX, $63
	JHI  done
	MOVQ $const_lengthReasons, AX
	BTQ  DX, AX
	JCC  done
	READ(const_VM_EXIT_INSTRUCTION_LENGTH)
	JMP  done

	// An access to a port: what ioQualification does, in one quadword (SDM 3C table 28-5). INS and
	// OUTS are left to detail.
port:
	READ(const_EXIT_QUALIFICATION)
	MOVQ CX, const_stateQual(SI)
	BTL  $4, CX
	JCS  string
	MOVL CX, DX
	SHRL $16, DX
	MOVL CX, AX
	ANDL $7, AX
	INCL AX
	SHLL $16, AX
	ORL  AX, DX
	ANDL $8, CX
	SHLL $21, CX
	ORL  CX, DX
	MOVQ DX, const_statePort(SI)
	MOVL $const_kindIO, BX

	// The instruction is emulated in any case, so its end is seen to here: see advance.
retire:
	READ(const_VM_EXIT_INSTRUCTION_LENGTH)
	MOVL CX, const_stateLen(SI)
	MOVL CX, DX
	RETIRE
	MOVQ R8, VCPU_rare(DI)
	MOVL BX, const_stateKind(SI)
	MOVL $1, VCPU_launched(DI)
	MOVQ 16(SP), BP
	LEAQ 24(SP), SP
	RET

string:
	MOVL $const_reasonIO, CX
	JMP  other

done:
	MOVL CX, const_stateLen(SI)
	MOVL BX, const_stateKind(SI)
	MOVQ 16(SP), BP
	LEAQ 24(SP), SP // not POP: the assembler would count these against a frame that it didn't see
	RET

// The guest's next instruction is a RIP away; what else an instruction's end changes is rare, and
// left to the caller.
TEXT ·advance(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ v+0(FP), DI
	MOVQ s+8(FP), SI
	MOVL const_stateLen(SI), DX
	RETIRE
	MOVQ R8, rare+16(FP)
	RET
