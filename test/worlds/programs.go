package main

import (
	"encoding/binary"
	"slices"
)

// Programs of guests, in real mode. Each is at the beginning of a page of its own, which CS points at, so all virtual processors of
// a guest can run one. A test disassembles none of them: what they do shows in what they count.
const (
	counterAt  = 0x800 // in the page: a round of the program's loop
	interrupts = 0x804 // interrupts that it took
	handlerAt  = 0x400 // of vector timerVector
)

// timerVector is that of the local APIC's timer in floodInterrupts.
const timerVector = 0x40

// spin counts.
var spin = []byte{
	0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]
	0xEB, 0xF8, // jmp spin
}

// spinDeaf counts with interrupts off.
var spinDeaf = append([]byte{0xFA}, spin...) // cli

// identify counts CPUIDs, which are exits that the lower half handles.
var identify = []byte{
	0x66, 0x31, 0xC0, // xor eax, eax
	0x0F, 0xA2, // cpuid
	0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]
	0xEB, 0xF3, // jmp identify
}

// ask counts reads of a port that the upper half serves.
var ask = []byte{
	0xBA, 0xFD, 0x03, // mov dx, 3FDH
	0xEC,                               // in al, dx
	0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]
	0xEB, 0xF7, // jmp to the IN
}

// wait halts, with interrupts on, for ever.
var wait = []byte{
	0xFB,       // sti
	0xF4,       // hlt
	0xEB, 0xFC, // jmp wait
}

// floodInterrupts has the local APIC's timer interrupt all the time and counts meanwhile. The handler is floodHandler.
var floodInterrupts = slices.Concat(
	[]byte{
		0x66, 0xB9, 0x1B, 0x00, 0x00, 0x00, // mov ecx, IA32_APIC_BASE
		0x0F, 0x32, // rdmsr
		0x66, 0x0D, 0x00, 0x0C, 0x00, 0x00, // or eax, C00H: x2APIC
		0x0F, 0x30, // wrmsr
	},
	setMSR(0x80F, 0x1FF),               // software enable
	setMSR(0x832, 0x20000|timerVector), // the timer, periodic
	setMSR(0x83E, 0x0B),                // divide by 1
	setMSR(0x838, 1000),                // every 1,000 ticks
	[]byte{0xFB},                       // sti
	spin,
)

var floodHandler = slices.Concat(
	setMSR(0x80B, 0), // EOI
	[]byte{
		0x2E, 0x66, 0xFF, 0x06, 0x04, 0x08, // inc dword [cs:interrupts]
		0xCF, // iret
	},
)

// setMSR writes a value of 32 bits to an MSR.
func setMSR(msr, v uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{0x66, 0xB9}, msr)                           // mov ecx, msr
	b = append(binary.LittleEndian.AppendUint32(append(b, 0x66, 0xB8), v), 0x66, 0x31, 0xD2) // mov eax, v; xor edx, edx
	return append(b, 0x0F, 0x30)                                                             // wrmsr
}
