package core

import (
	"keel/arch/amd64"
	"keel/boot/acpi"
	"keel/boot/handover"
	"keel/boot/physmem"
	"keel/boot/smbios"
)

// What the boot loader handed over, and what the firmware says about the machine.
var (
	boot     handover.Handover
	tables   acpi.Tables
	firmware smbios.System
)

const (
	multiboot2Magic = 0x36D7_6289
	// earlyLimit is where the boot page tables end, and so what can be read before the kernel's own.
	earlyLimit = 4 << 30
	// minMemory is below what the Go runtime starts with room to work, bytes.
	minMemory = 96 << 20
)

// start is the first Go code: on the boot stack, the boot page tables and one processor, with
// interrupts off. It makes all that a world needs and goes on, on the processor's own stack, in
// started.
func start(magic, info uint64) {
	t0 := amd64.RDTSC()
	mem := physmem.Memory{Base: amd64.DirectMap, Limit: earlyLimit}
	var bad string
	if magic == multiboot2Magic {
		bad = handover.FromMultiboot2(mem, info, &boot)
	} else {
		bad = handover.FromPVH(mem, info, &boot)
	}
	initConsole(&boot)
	if bad != "" {
		die(bad)
	}
	identify()
	imageEnd := loadedLimit()
	if !reserveCrash() || !boot.Reserve(imageBase, imageEnd-imageBase, handover.Other) {
		die("the boot loader gives more pieces of memory than Keel can note: give it fewer modules")
	}
	if boot.UsableBytes() < minMemory {
		die("too little memory: Keel needs 128 MiB")
	}
	if e := initFrames(&boot, earlyLimit); e != "" {
		die(e)
	}
	// The new page tables map what the boot ones do, so the tables of a firmware above 4 GiB can be
	// read afterwards.
	initPaging(imageEnd)
	mapScreen()
	mem.Limit = directTop
	if e := acpi.Parse(mem, boot.RSDP, &tables); e != "" {
		die(e)
	}
	initNodes(&tables)
	initScrub()
	smbios.Find(mem, boot.EFISystem, &firmware)
	mapDevices()
	initIDT()
	initSched()
	c := &cpus[0]
	c.prepare()
	tscBase = t0
	switchStack(addrOf(c))
}

// started goes on, on the processor's own stack: time, interrupts, the other processors, and the
// runtime's first thread.
func started(addr uintptr) {
	c := at[cpu](addr)
	c.load()
	mask8259()
	initIOAPICs()
	if !calibrate() {
		die("no usable clock: neither HPET, ACPI PM timer nor PIT counts")
	}
	wallOffset = readRTC()
	if wallOffset != 0 {
		wallOffset -= nanotime()
	}
	initAPIC()
	c.apicID = readAPICID()
	calibrateAPIC()
	c.online = 1
	randomState = amd64.RDTSC() ^ wallOffset
	probeVirt()
	enableVirt()
	c.join()
	startProcessors()
	limitSystem()
	startRuntime()
	c.dispatch()
}

// die reports what keeps Keel from starting at all, and halts.
func die(why string) {
	print("\nlevel=ERROR msg=\"cannot start\" cause=\"")
	print(why)
	print("\"\n")
	for {
		amd64.CLI()
		amd64.HLT()
	}
}

func switchStack(c uintptr)

// directTop is the end of the direct map, a physical address.
var directTop uint64

// initPaging makes the kernel's own page tables and switches to them: the direct map of memory
// and of everything below 4 GiB, never executable, the image with its code read-only, and nothing
// else.
func initPaging(imageEnd uint64) {
	kernelRoot = allocFrame(ownerKeel)
	directTop = max(boot.Top(), 4<<30)
	directTop = (directTop + amd64.HugeSize - 1) &^ (amd64.HugeSize - 1)
	const data = amd64.PTE_W | amd64.PTE_NX | amd64.PTE_G | amd64.PTE_A | amd64.PTE_D
	textEnd := uint64(roundUp(textLimit()))
	ok := kernelRoot != 0
	// The image's code and constants are read-only through the direct map too.
	roEnd := uint64(dataStart()) &^ (amd64.PageSize - 1)
	ok = ok && mapRange(amd64.DirectMap, 0, imageBase, data)
	ok = ok && mapRange(amd64.DirectMap+imageBase, imageBase, roEnd-imageBase, data&^amd64.PTE_W)
	ok = ok && mapRange(amd64.DirectMap+uintptr(roEnd), roEnd, 3<<30-roEnd, data)
	// Between 3 and 4 GiB lie devices: uncached where the map doesn't say that it is memory.
	for pa := uint64(3 << 30); ok && pa < 4<<30; pa += amd64.HugeSize {
		f := uint64(data)
		if !isMemory(pa, pa+amd64.HugeSize) {
			f |= amd64.PTE_PCD | amd64.PTE_PWT
		}
		ok = mapRange(amd64.DirectMap+uintptr(pa), pa, amd64.HugeSize, f)
	}
	if directTop > 4<<30 {
		ok = ok && mapRange(amd64.DirectMap+4<<30, 4<<30, directTop-4<<30, data)
	}
	ok = ok && mapRange(imageBase, imageBase, textEnd-imageBase, amd64.PTE_G)
	ok = ok && mapRange(uintptr(textEnd), textEnd, roEnd-textEnd, amd64.PTE_NX|amd64.PTE_G)
	ok = ok && mapRange(uintptr(roEnd), roEnd, imageEnd-roEnd, data)
	if !ok {
		die("too little memory: no room for page tables")
	}
	amd64.WRMSR(amd64.MSR_PAT, pageAttributes)
	amd64.WriteCR3(kernelRoot)
}

func roundUp(v uintptr) uintptr { return (v + amd64.PageSize - 1) &^ (amd64.PageSize - 1) }
func roundUp64(v uint64) uint64 { return (v + amd64.PageSize - 1) &^ (amd64.PageSize - 1) }

// isMemory says whether the memory map has anything but devices in [start, end).
func isMemory(start, end uint64) bool {
	for i := uint32(0); i < boot.NumRanges; i++ {
		if r := &boot.Ranges[i]; r.Type != handover.Reserved && r.Base < end && r.End() > start {
			return true
		}
	}
	return false
}

// mapDevices makes sure that registers which the tables name are reachable through the direct map.
func mapDevices() {
	mapDevice(tables.HPET.Address)
	for i := uint32(0); i < tables.NumIOAPICs; i++ {
		mapDevice(tables.IOAPICs[i].Address)
	}
}

// mapDevice maps a page of registers above the direct map's end, where it isn't mapped already.
func mapDevice(pa uint64) {
	if pa >= directTop {
		mapPage(amd64.DirectMap+uintptr(pa&^(amd64.PageSize-1)), pa&^(amd64.PageSize-1), amd64.PTE_W|amd64.PTE_NX|amd64.PTE_PCD|amd64.PTE_PWT)
	}
}

func hpetAddress() uint64 {
	if tables.Has&acpi.HasHPET == 0 {
		return 0
	}
	return tables.HPET.Address
}

// mask8259 moves the two 8259s' vectors away from exceptions and masks all their lines.
func mask8259() {
	for _, p := range [2]uint16{0x20, 0xA0} {
		amd64.OUT8(p, 0x11)
		amd64.OUT8(p+1, uint8(0x20+p>>4))
		amd64.OUT8(p+1, uint8(4-p>>7*2))
		amd64.OUT8(p+1, 1)
		amd64.OUT8(p+1, 0xFF)
	}
}
