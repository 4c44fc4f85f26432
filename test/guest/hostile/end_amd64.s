#include "routine.h"

// hello says how the kernel was booted.
ROUTINE(·hello, ·helloPC)
	SAY(const_textHello)
	CMPQ const_varProtocol(R13), $const_protocolPVH
	JEQ  pvh
	SAY(const_textMB)
	JMP  end
pvh:
	SAY(const_textPVH)
end:
	MOVL $'\n', DI
	SUB(const_slotPutc)
	EXIT(const_ExitHello)
	END

ROUTINE(·survived, ·survivedPC)
	EXIT(const_ExitSurvived)
	END

// triple faults while an exception is delivered, without an interrupt table.
ROUTINE(·triple, ·triplePC)
	MOVQ $0, (SP)
	MOVQ $0, 8(SP)
	LIDT (SP)
	INT  $3
	END

ROUTINE(·keyboard, ·keyboardPC)
	MOVL $0xFE, AX
	OUTB $0x64
	HLT
	END

ROUTINE(·acpiReset, ·acpiResetPC)
	MOVL $0xCF9, DX
	MOVL $6, AX
	OUTB
	HLT
	END

ROUTINE(·sleep, ·sleepPC)
	CLI
again:
	HLT
	JMP again
	END

ROUTINE(·loop, ·loopPC)
	CLI
again:
	JMP again
	END

// undecodable saves all of the FPU to the local APIC's registers.
ROUTINE(·undecodable, ·undecodablePC)
	MOVL $0xFEE00000, DI
	FXSAVE (DI)
	RET
	END

ROUTINE(·jump, ·jumpPC)
	MOVL $0xFEE00000, AX
	JMP  AX
	END

// idtOfDevice takes an exception by an interrupt table that lies in the local APIC's registers.
ROUTINE(·idtOfDevice, ·idtOfDevicePC)
	MOVW $0xFFF, (SP)
	MOVL $0xFEE00000, AX
	MOVQ AX, 2(SP)
	LIDT (SP)
	INT  $3
	RET
	END

// stackOfDevice takes an interrupt on a stack that lies in the IOAPIC's registers.
ROUTINE(·stackOfDevice, ·stackOfDevicePC)
	MOVL $0xFEC00800, AX
	MOVQ AX, SP
	INT  $0x80
	RET
	END

// forge sends: a line of the host's, a line of another guest's, escape sequences that clear the
// screen, set the title and ask for an answer, all other control bytes, and a line without end.
ROUTINE(·forge, ·forgePC)
	SAY(const_textForge0)
	SAY(const_textForge1)
	SAY(const_textForge2)
	SAY(const_textForge3)
	SAY(const_textForge4)
	SAY(const_textForge5)
	MOVL $1, BX
control:
	MOVL BX, DI
	SUB(const_slotPutc)
	INCL BX
	CMPL BX, $0x20
	JNE  visible
	MOVL $0x7F, BX
visible:
	CMPL BX, $0x100
	JB   control
	MOVL $5000, BX
long:
	MOVL $'A', DI
	SUB(const_slotPutc)
	DECL BX
	JNZ  long
	MOVL $'\n', DI
	SUB(const_slotPutc)
	RET
	END
