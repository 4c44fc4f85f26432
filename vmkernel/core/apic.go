package core

import "keel/arch/amd64"

// The processors' local APICs: xAPIC by its registers in memory, x2APIC by MSRs (SDM 3A 11).
const (
	apicID       = 0x20
	apicTPR      = 0x80
	apicEOIReg   = 0xB0
	apicSVR      = 0xF0
	apicICR      = 0x300
	apicICRHigh  = 0x310
	apicLVTTimer = 0x320
	apicLVT0     = 0x350
	apicLVT1     = 0x360
	apicLVTErr   = 0x370
	apicInitial  = 0x380
	apicCurrent  = 0x390
	apicDivide   = 0x3E0
)

var (
	apicBase   uint64
	x2apic     bool
	apicTickHz uint64 // of the APIC timer, where there is no TSC deadline
)

func apicRead(reg uint32) uint32 {
	if x2apic {
		return uint32(amd64.RDMSR(0x800 + reg>>4))
	}
	return *phys[uint32](apicBase + uint64(reg))
}

func apicWrite(reg uint32, v uint32) {
	if x2apic {
		amd64.WRMSR(0x800+reg>>4, uint64(v))
		return
	}
	*phys[uint32](apicBase + uint64(reg)) = v
}

func apicEOI() { apicWrite(apicEOIReg, 0) }

// initAPIC switches the calling processor's APIC on, in x2APIC mode where the processor has it.
func initAPIC() {
	b := amd64.RDMSR(amd64.MSR_APIC_BASE)
	if hasX2APIC {
		x2apic = true
		amd64.WRMSR(amd64.MSR_APIC_BASE, b|1<<11)
		amd64.WRMSR(amd64.MSR_APIC_BASE, b|1<<11|1<<10)
	} else {
		apicBase = b & amd64.PTE_ADDR
		amd64.WRMSR(amd64.MSR_APIC_BASE, b|1<<11)
	}
	apicWrite(apicTPR, 0)
	apicWrite(apicLVTTimer, 1<<16)
	apicWrite(apicLVT0, 1<<16)
	apicWrite(apicLVT1, 4<<8) // NMI
	apicWrite(apicLVTErr, 1<<16)
	apicWrite(apicSVR, 1<<8|vecSpurious)
	apicEOI()
	if hasTSCDL {
		apicWrite(apicLVTTimer, 2<<17|vecTimer)
	} else {
		apicWrite(apicDivide, 0b1011) // by 1
		apicWrite(apicLVTTimer, vecTimer)
	}
}

func readAPICID() uint32 {
	if x2apic {
		return apicRead(apicID)
	}
	return apicRead(apicID) >> 24
}

// sendICR sends an interprocessor interrupt and waits until the APIC has taken it.
func sendICR(dest, command uint32) {
	if x2apic {
		fence()
		amd64.WRMSR(0x830, uint64(dest)<<32|uint64(command))
		return
	}
	for i := 0; i < 1_000_000 && apicRead(apicICR)&(1<<12) != 0; i++ {
		amd64.PAUSE()
	}
	apicWrite(apicICRHigh, dest<<24)
	apicWrite(apicICR, command)
}

func sendIPI(dest uint32, vector uint32) { sendICR(dest, 1<<14|vector) }

// stopOthers halts all other processors for ever, by NMI.
func stopOthers() {
	self := uint32(0)
	if nCPUs > 1 {
		self = readAPICID()
	}
	for i := 0; i < nCPUs; i++ {
		if c := &cpus[i]; c.apicID != self && c.online != 0 {
			c.stop = 1
			sendICR(c.apicID, 1<<14|4<<8)
		}
	}
}

// calibrateAPIC measures the APIC timer against the time-stamp counter, where it is needed.
func calibrateAPIC() {
	if hasTSCDL {
		return
	}
	apicWrite(apicLVTTimer, 1<<16|vecTimer)
	apicWrite(apicInitial, ^uint32(0))
	start := apicRead(apicCurrent)
	stall(10_000_000)
	apicTickHz = uint64(start-apicRead(apicCurrent)) * 100
	apicWrite(apicInitial, 0)
	apicWrite(apicLVTTimer, vecTimer)
}

// armTimer has this processor interrupted at a time in ns: from what the clock says here on, which whoever decided on the
// time may have read thousands of ticks ago.
func armTimer(at uint64) {
	tsc := amd64.RDTSC()
	ns := uint64(1)
	if now := tscToNS(tsc); at > now {
		ns = at - now
	}
	if hasTSCDL {
		// Only the difference is converted back: the two conversions of a long time differ.
		amd64.WRMSR(amd64.MSR_TSC_DEADLINE, tsc+nsToTicks(ns)+1)
		return
	}
	ns = min(ns, 1e9)
	ticks := ns*apicTickHz/1e9 + 1
	apicWrite(apicInitial, uint32(min(ticks, 0xFFFF_FFFF)))
}

func disarmTimer() {
	if hasTSCDL {
		amd64.WRMSR(amd64.MSR_TSC_DEADLINE, 0)
		return
	}
	apicWrite(apicInitial, 0)
}
