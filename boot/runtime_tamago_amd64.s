//go:build tamago

#include "textflag.h"

// runtimeEntry is where the runtime's first thread begins.
TEXT ·runtimeEntry(SB), NOSPLIT|NOFRAME, $0
	JMP _rt0_amd64_tamago(SB)
