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

// hearPIT has the 8259 give vector timerVector for the PIT's interrupts, and halts until each. The handler is countPIT.
var hearPIT = slices.Concat(
	[]byte{
		0x66, 0xB9, 0x1B, 0x00, 0x00, 0x00, // mov ecx, IA32_APIC_BASE
		0x0F, 0x32, // rdmsr
		0x66, 0x0D, 0x00, 0x0C, 0x00, 0x00, // or eax, C00H: x2APIC
		0x0F, 0x30, // wrmsr
	},
	setMSR(0x80F, 0x1FF), // software enable
	setMSR(0x835, 0x700), // LINT0: ExtINT
	[]byte{
		0xB0, 0x11, 0xE6, 0x20, // mov al, 11H; out 20H, al: ICW1
		0xB0, timerVector, 0xE6, 0x21, // ICW2
		0xB0, 0x04, 0xE6, 0x21, // ICW3
		0xB0, 0x01, 0xE6, 0x21, // ICW4
		0xB0, 0xFE, 0xE6, 0x21, // all masked but IRQ 0
		0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]: setPIT may begin
	},
	wait,
)

var countPIT = []byte{
	0xB0, 0x20, 0xE6, 0x20, // mov al, 20H; out 20H, al: EOI
	0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]
	0xCF, // iret
}

// setPIT sets the PIT to interrupt once, after 50 us, waits until countPIT of virtual processor 0 has counted that, and then for a
// little, each time for another time. It begins when hearPIT is ready: the 8259 forgets an edge when it is initialised.
var setPIT = []byte{
	0x66, 0x8B, 0x1E, 0x00, 0x18, // mov ebx, [codePage + counterAt]
	0x66, 0x85, 0xDB, // test ebx, ebx
	0x74, 0xF6, // jz setPIT
	0xB0, 0x30, 0xE6, 0x43, // mov al, 30H; out 43H, al: counter 0, mode 0
	0xB0, 0x3C, 0xE6, 0x40, // mov al, 60; out 40H, al
	0xB0, 0x00, 0xE6, 0x40, // mov al, 0; out 40H, al
	0x66, 0x3B, 0x1E, 0x00, 0x18, // cmp ebx, [codePage + counterAt]
	0x74, 0xF9, // je to the CMP
	0x2E, 0x66, 0xFF, 0x06, 0x00, 0x08, // inc dword [cs:counterAt]
	0x42,                   // inc dx
	0x81, 0xE2, 0xFF, 0x03, // and dx, 3FFH
	0x89, 0xD1, // mov cx, dx
	0x41,       // inc cx
	0xE2, 0xFE, // loop to itself
	0xEB, 0xD1, // jmp setPIT
}

// setMSR writes a value of 32 bits to an MSR.
func setMSR(msr, v uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{0x66, 0xB9}, msr)                           // mov ecx, msr
	b = append(binary.LittleEndian.AppendUint32(append(b, 0x66, 0xB8), v), 0x66, 0x31, 0xD2) // mov eax, v; xor edx, edx
	return append(b, 0x0F, 0x30)                                                             // wrmsr
}
