package core

import (
	"keel/arch/amd64"
	"keel/boot/acpi"
)

// pmTimerPort is the port of the ACPI PM timer, 0 where there is none in port space.
func pmTimerPort() uint16 {
	r := &tables.FADT.PMTimer
	if tables.Has&acpi.HasPMTimer == 0 || r.Space != acpi.InPorts || r.Address > 0xFFFF {
		return 0
	}
	return uint16(r.Address)
}

func readRegister(r *acpi.Register) uint16 {
	if r.Space == acpi.InPorts {
		return amd64.IN16(uint16(r.Address))
	}
	return *phys[uint16](r.Address)
}

func writeRegister(r *acpi.Register, v uint16) {
	if r.Space == acpi.InPorts {
		amd64.OUT16(uint16(r.Address), v)
		return
	}
	*phys[uint16](r.Address) = v
}

// powerOff enters S5 (ACPI 7.4.2.6) and, where the machine can't, halts.
func powerOff() {
	flushConsole()
	f := &tables.FADT
	if tables.Has&acpi.HasS5 != 0 && f.PM1aControl.Present() {
		if f.SMICommand != 0 && f.ACPIEnable != 0 && readRegister(&f.PM1aControl)&acpi.PM1SCIEnable == 0 {
			amd64.OUT8(uint16(f.SMICommand), f.ACPIEnable)
			for i := 0; i < 3000 && readRegister(&f.PM1aControl)&acpi.PM1SCIEnable == 0; i++ {
				stall(1_000_000)
			}
		}
		sleep := func(r *acpi.Register, typ uint8) {
			if r.Present() {
				v := readRegister(r)&^(7<<acpi.PM1SleepTypeShift) | uint16(typ)<<acpi.PM1SleepTypeShift
				writeRegister(r, v)
				writeRegister(r, v|acpi.PM1SleepEnable)
			}
		}
		sleep(&f.PM1aControl, f.SleepTypeA)
		sleep(&f.PM1bControl, f.SleepTypeB)
		stall(1_000_000_000)
	}
	console.lock.lock()
	print("level=ERROR msg=\"the machine doesn't power off: switch it off by hand\"\n")
	console.lock.unlock()
	stopOthers()
	for {
		amd64.CLI()
		amd64.HLT()
	}
}

// reset restarts the machine: by ACPI's reset register, else the keyboard controller, else a
// triple fault.
func reset() {
	flushConsole()
	f := &tables.FADT
	if tables.Has&acpi.HasReset != 0 {
		switch f.ResetRegister.Space {
		case acpi.InPorts:
			amd64.OUT8(uint16(f.ResetRegister.Address), f.ResetValue)
		case acpi.InMemory:
			*phys[uint8](f.ResetRegister.Address) = f.ResetValue
		}
		stall(100_000_000)
	}
	amd64.OUT8(0xCF9, 6)
	stall(50_000_000)
	amd64.OUT8(0x64, 0xFE)
	stall(50_000_000)
	c := me()
	setDescriptor(addrOf(&c.desc), 0, 0)
	amd64.LIDT(addrOf(&c.desc))
	amd64.HLT()
	breakpoint()
}

func breakpoint()

// restartOnPanic is the host's onPanic policy.
var restartOnPanic bool
