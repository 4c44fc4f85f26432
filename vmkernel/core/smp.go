package core

import (
	"sync/atomic"

	"keel/arch/amd64"
)

// A started processor begins in real mode in a page below 1 MiB, mapped one to one meanwhile. The
// code below is written for trampolineBase; copyTrampoline moves it to where there is room.
const trampolineBase = 0x8000

// Offsets in the trampoline.
const (
	trampoline32    = 0x40
	trampoline64    = 0xA0
	trampolineGDT   = 0x100
	trampolineGDTR  = 0x120
	trampolineCR3   = 0x128
	trampolineEntry = 0x130
	trampolineCPU   = 0x138
)

// trampoline16, trampolineCode32 and trampolineCode64 lead a started processor from real mode to
// apEntry. A test disassembles them.
var trampolineCode16 = [...]byte{
	0xFA,       // cli
	0xFC,       // cld
	0x8C, 0xC8, // mov ax, cs
	0x8E, 0xD8, // mov ds, ax
	0x66, 0x0F, 0x01, 0x16, 0x20, 0x01, // lgdt [0x120]
	0x0F, 0x20, 0xC0, // mov eax, cr0
	0x0C, 0x01, // or al, 1: PE
	0x0F, 0x22, 0xC0, // mov cr0, eax
	0x66, 0xEA, 0x40, 0x80, 0x00, 0x00, 0x08, 0x00, // jmp 0x08:0x8040
}

var trampolineCode32 = [...]byte{
	0x66, 0xB8, 0x10, 0x00, // mov ax, 0x10
	0x8E, 0xD8, // mov ds, ax
	0x8E, 0xD0, // mov ss, ax
	0x8E, 0xC0, // mov es, ax
	0x0F, 0x20, 0xE0, // mov eax, cr4
	0x0D, 0x20, 0x06, 0x00, 0x00, // or eax, 0x620: PAE, OSFXSR, OSXMMEXCPT
	0x0F, 0x22, 0xE0, // mov cr4, eax
	0xA1, 0x28, 0x81, 0x00, 0x00, // mov eax, [0x8128]
	0x0F, 0x22, 0xD8, // mov cr3, eax
	0xB9, 0x80, 0x00, 0x00, 0xC0, // mov ecx, 0xC0000080: EFER
	0x0F, 0x32, // rdmsr
	0x0D, 0x01, 0x09, 0x00, 0x00, // or eax, 0x901: SCE, LME, NXE
	0x0F, 0x30, // wrmsr
	0x0F, 0x20, 0xC0, // mov eax, cr0
	0x25, 0xF3, 0xFF, 0xFF, 0x9F, // and eax, 0x9FFFFFF3: no CD, NW, TS, EM
	0x0D, 0x23, 0x00, 0x01, 0x80, // or eax, 0x80010023: PG, WP, NE, MP, PE
	0x0F, 0x22, 0xC0, // mov cr0, eax
	0xEA, 0xA0, 0x80, 0x00, 0x00, 0x18, 0x00, // jmp 0x18:0x80A0
}

var trampolineCode64 = [...]byte{
	0x48, 0x8B, 0x3C, 0x25, 0x38, 0x81, 0x00, 0x00, // mov rdi, [0x8138]
	0x48, 0x8B, 0x04, 0x25, 0x30, 0x81, 0x00, 0x00, // mov rax, [0x8130]
	0xFF, 0xE0, // jmp rax
}

func apEntryPC() uintptr

// startProcessors starts all other processors that the firmware lists, one after the other
// (SDM 3A 8.4.4).
func startProcessors() {
	base := boot.LowFree(amd64.PageSize)
	if base == 0 || !mapPage(uintptr(base), base, amd64.PTE_W) {
		print("level=WARN msg=\"no memory below 1 MiB to start processors from\"\n")
		return
	}
	copyTrampoline(base)
	for i := uint32(0); i < tables.NumCPUs && nCPUs < maxCPUs; i++ {
		id := tables.CPUs[i].APICID
		if id == cpus[0].apicID || (!x2apic && id > 254) {
			continue
		}
		c := &cpus[nCPUs]
		c.id, c.apicID = uint32(nCPUs), id
		if c.stackTop == 0 {
			c.prepare()
		}
		*phys[uint64](base + trampolineCPU) = uint64(addrOf(c))
		sendICR(id, 1<<14|5<<8) // INIT
		stall(10_000_000)
		for try := 0; try < 2 && atomic.LoadUint32(&c.online) == 0; try++ {
			sendICR(id, 1<<14|6<<8|uint32(base>>12)) // SIPI
			for wait := 0; wait < 1000 && atomic.LoadUint32(&c.online) == 0; wait++ {
				answerTSC(100_000)
			}
		}
		if atomic.LoadUint32(&c.online) == 0 {
			print("level=WARN msg=\"processor did not start\" apic=")
			printDec(uint64(id))
			print("\n")
			sendICR(id, 1<<14|5<<8) // so that it doesn't start late, as another
			continue
		}
		nCPUs++
	}
	*pte(uintptr(base), 1, false) = 0
	flushAll()
}

// trampolineFixups are the offsets of the 32-bit words that hold an address in the trampoline.
var trampolineFixups = [...]uint64{22, trampoline32 + 22, trampoline32 + 60, trampoline64 + 4, trampoline64 + 12}

// copyTrampoline writes the trampoline, with its tables, to the page at base.
func copyTrampoline(base uint64) {
	copyCode(base, trampolineCode16[:])
	copyCode(base+trampoline32, trampolineCode32[:])
	copyCode(base+trampoline64, trampolineCode64[:])
	for _, at := range trampolineFixups {
		*phys[uint32](base + at) += uint32(base) - trampolineBase
	}
	gdt := base + trampolineGDT
	*phys[uint64](gdt) = 0
	*phys[uint64](gdt + 8) = 0x00CF9B000000FFFF
	*phys[uint64](gdt + 16) = 0x00CF93000000FFFF
	*phys[uint64](gdt + 24) = 0x00AF9B000000FFFF
	setDescriptor(amd64.DirectMap+uintptr(base)+trampolineGDTR, uintptr(gdt), 31)
	*phys[uint64](base + trampolineCR3) = kernelRoot
	*phys[uint64](base + trampolineEntry) = uint64(apEntryPC())
}

func copyCode(to uint64, code []byte) {
	for i, b := range code {
		*phys[byte](to + uint64(i)) = b
	}
}

// startAP is the first Go code of a started processor, on its own stack.
func startAP(addr uintptr) {
	c := at[cpu](addr)
	c.load()
	initAPIC()
	c.syncTSC()
	enableVirt()
	c.join()
	atomic.StoreUint32(&c.online, 1)
	c.dispatch()
}
