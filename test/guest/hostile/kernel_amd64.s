#include "routine.h"

// start is entered once in 64-bit mode. It runs the routines that the command line names.
ROUTINE(·start, ·startPC)
	// A copy, for a routine may write to where the boot loader put it: what follows the first '='.
	MOVQ const_varCmdline(R13), SI
	LEAQ const_varCopy(R13), DI
	MOVL $4096, CX
find:
	MOVBLZX (SI), AX
	TESTL AX, AX
	JEQ  copied
	INCQ SI
	CMPL AX, $'='
	JEQ  copy
	DECL CX
	JNZ  find
	JMP  copied
copy:
	MOVL $(const_varCopySize-1), CX
next:
	MOVBLZX (SI), AX
	CMPL AX, $' '
	JLE  copied
	MOVB AX, (DI)
	INCQ SI
	INCQ DI
	DECL CX
	JNZ  next
copied:
	MOVB $0, (DI)
	LEAQ const_varCopy(R13), SI
	MOVQ SI, const_varNext(R13)
run:
	MOVQ const_varNext(R13), SI
	MOVBLZX (SI), BX
	INCQ SI
	MOVQ SI, const_varNext(R13)
	TESTL BX, BX
	JEQ  done
	MOVQ BX, const_varLetter(R13)
	MOVQ $0, const_varFaults(R13)
	MOVQ $0, const_varIRQs(R13)
	MOVQ $3000, AX
	MOVQ AX, const_varIRQLimit(R13)
	MOVQ (R14)(BX*8), AX
	TESTQ AX, AX
	JEQ  run
	XORL R15, R15
	CALL AX
	CLI
	CLD
	XORL R15, R15
	SAY(const_textHostile)
	MOVQ const_varLetter(R13), DI
	SUB(const_slotPutc)
	SAY(const_textFaults)
	MOVQ const_varFaults(R13), SI
	HEX
	SAY(const_textIRQs)
	MOVQ const_varIRQs(R13), SI
	HEX
	MOVL $'\n', DI
	SUB(const_slotPutc)
	JMP  run
done:
	CLI
	HLT
	JMP  done
	END

// handler is where all stubs of the interrupt table lead: 0 vector, 8 error code, 16 RIP, 24 CS,
// 32 RFLAGS, 40 RSP, 48 SS. R13 to R15 are as the conventions say.
ROUTINE(·handler, ·handlerPC)
	PUSHQ AX
	PUSHQ CX
	PUSHQ DX
	MOVQ 24(SP), AX
	CMPQ AX, $2
	JEQ  counted // NMI
	CMPQ AX, $32
	JAE  irq
	TESTQ R15, R15
	JEQ  fatal
	INCQ const_varFaults(R13)
	CMPQ AX, $1
	JEQ  out // traps: RIP is behind the instruction
	CMPQ AX, $3
	JEQ  out
	CMPQ AX, $4
	JEQ  out
	ADDQ R15, 40(SP)
	JMP  out
irq:
	MOVL $0x20, AX
	OUTB $0x20
	OUTB $0xA0
	MOVL $0xFEE000B0, CX
	MOVL $0, (CX)
counted:
	INCQ const_varIRQs(R13)
	MOVQ const_varIRQs(R13), AX
	CMPQ AX, const_varIRQLimit(R13)
	JB   out
	MOVL $0xFF, AX
	OUTB $0x21
	OUTB $0xA1
	MOVL $0xFEE00320, CX
	MOVL $0x10000, (CX)
out:
	POPQ DX
	POPQ CX
	POPQ AX
	ADDQ $16, SP
	IRETQ
fatal:
	SAY(const_textFault)
	MOVQ 24(SP), SI
	HEX
	MOVL $' ', DI
	SUB(const_slotPutc)
	MOVQ 40(SP), SI
	HEX
	MOVL $'\n', DI
	SUB(const_slotPutc)
	MOVQ 24(SP), AX
	ADDL $const_ExitFault, AX
	MOVL $const_ExitPort, DX
	OUTL
stop:
	CLI
	HLT
	JMP stop
	END

// putc sends DI to COM1. It destroys AX, CX and DX.
ROUTINE(·putc, ·putcPC)
	MOVL $100000, CX
	MOVL $0x3FD, DX
wait:
	INB
	TESTB $0x20, AX
	JNE  send
	DECL CX
	JNZ  wait
send:
	MOVL $0x3F8, DX
	MOVL DI, AX
	OUTB
	RET
	END

// puthex prints the lower half of SI.
ROUTINE(·puthex, ·puthexPC)
	MOVL $8, R8
digit:
	ROLL $4, SI
	MOVL SI, DI
	ANDL $15, DI
	ADDL $'0', DI
	CMPL DI, $'9'
	JLE  put
	ADDL $('a'-'9'-1), DI
put:
	SUB(const_slotPutc)
	DECL R8
	JNZ  digit
	RET
	END

// puts prints the characters in SI.
ROUTINE(·puts, ·putsPC)
char:
	MOVBLZX SI, DI
	TESTL DI, DI
	JEQ  done
	SUB(const_slotPutc)
	SHRQ $8, SI
	JMP  char
done:
	RET
	END
