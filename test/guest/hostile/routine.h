// What all routines use. See doc.go for their conventions.
#include "go_asm.h"
#include "textflag.h"

// END marks where a routine's code ends: UD2 and a text that no code holds.
#define END \
	BYTE $0x0F; BYTE $0x0B \
	BYTE $'e'; BYTE $'n'; BYTE $'d'; BYTE $' '; BYTE $'o'; BYTE $'f'; BYTE $' ' \
	BYTE $'r'; BYTE $'o'; BYTE $'u'; BYTE $'t'; BYTE $'i'; BYTE $'n'; BYTE $'e'

// ROUTINE begins one, and makes the function that tells Go where it is.
#define ROUTINE(name, namePC) \
TEXT namePC(SB), NOSPLIT, $0-8 \
	LEAQ name(SB), AX      \
	MOVQ AX, ret+0(FP)     \
	RET                    \
TEXT name(SB), NOSPLIT|NOFRAME, $0-0

// SUB calls the routine of a slot; it destroys AX, and what that routine destroys.
#define SUB(slot) \
	MOVQ (8*slot)(R14), AX \
	CALL AX

// SAY prints a word, HEX the lower half of SI; they destroy AX, CX, DX, SI, DI, R8.
#define SAY(text) \
	MOVQ $text, SI \
	SUB(const_slotPuts)
#define HEX SUB(const_slotPuthex)

// EXIT ends the VM with a code.
#define EXIT(code) \
	MOVL $code, AX             \
	MOVL $const_ExitPort, DX   \
	OUTL                       \
	CLI                        \
	HLT

// WRONG ends the VM as one whose machine is wrong, with R9 as what was.
#define WRONG \
	SAY(const_textWrong)       \
	MOVL R9, SI                \
	HEX                        \
	MOVL $'\n', DI             \
	SUB(const_slotPutc)        \
	EXIT(const_ExitFailed)

// MAY says that the next instruction, of n bytes, may fault.
#define MAY(n) MOVL $n, R15
