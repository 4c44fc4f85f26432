package acpi

// Space is where a register lies (5.2.3.2 table 5.1).
type Space uint8

const (
	InMemory    Space = 0
	InPorts     Space = 1
	InPCIConfig Space = 2 // Address holds device, function and offset, on bus 0
)

// Register is a register of the fixed hardware. Address 0 means that there is none.
type Register struct {
	Address uint64
	Space   Space
	Width   uint8 // bits
	Offset  uint8 // bits
	Access  uint8 // log2 of the bytes to access at once, plus 1; 0: not said
}

// Present reports whether there is such a register.
func (r *Register) Present() bool { return r.Address != 0 }

// FixedHardware is what the FADT says (5.2.9). The PM1 registers are 16 bits wide each: of an event
// block, the first half is status and the second half, PM1EventLength/2 bytes on, is enable.
type FixedHardware struct {
	Flags FixedFlags
	DSDT  uint64

	SCI         uint16 // ACPI's interrupt: an ISA interrupt where Has8259, else a GSI
	BootFlags   uint16 // IA-PC boot architecture flags (5.2.9.3)
	ACPIEnable  uint8  // written to SMICommand, hands the registers over to us
	ACPIDisable uint8
	Century     uint8 // index in the RTC's memory, or 0: it has none
	ResetValue  uint8

	PM1EventLength uint8  // bytes of an event block
	SMICommand     uint32 // port, or 0: ACPI mode is always on

	PM1aEvent, PM1bEvent     Register
	PM1aControl, PM1bControl Register
	PMTimer                  Register // 3.579545 MHz; 24 bits unless Flags has PMTimer32Bits
	ResetRegister            Register // byte, in memory, ports or PCI configuration space
	SleepControl             Register // hardware-reduced ACPI only

	SleepTypeA, SleepTypeB uint8 // 0 to 7: SLP_TYP of S5 for PM1a and PM1b, valid with HasS5
}

// FixedFlags are the FADT's fixed feature flags (5.2.9 table 5.10).
type FixedFlags uint32

const (
	PMTimer32Bits   FixedFlags = 1 << 8  // TMR_VAL_EXT
	ResetSupported  FixedFlags = 1 << 10 // RESET_REG_SUP
	HardwareReduced FixedFlags = 1 << 20 // no PM1 registers, no PM timer
)

// IA-PC boot architecture flags (5.2.9.3). A FADT before revision 2 has none: BootFlags then says
// that the legacy devices and the 8042 are there, as they are in machines of that age.
const (
	BootLegacyDevices = 1 << 0
	Boot8042          = 1 << 1
	BootNoVGA         = 1 << 2
	BootNoRTC         = 1 << 5
)

// The PM1 control register's fields (4.8.3.2.1).
const (
	PM1SCIEnable      = 1 << 0  // ACPI mode is on
	PM1SleepTypeShift = 10      // SLP_TYP, 3 bits
	PM1SleepEnable    = 1 << 13 // SLP_EN
)

const fadtV1Size = 116 // bytes, ACPI 1.0

// readFADT reads the fixed hardware. The fields from offset 132 on are wider forms of older ones and
// win where they aren't 0.
func (t *Tables) readFADT(b table) {
	if t.Has&HasFADT != 0 {
		return
	}
	if b.length < fadtV1Size {
		t.bad(FADT, b.at, BadLength)
		return
	}
	t.Has |= HasFADT
	f := &t.FADT
	f.Flags = FixedFlags(b.u32(112))
	if f.DSDT = b.u64(140); f.DSDT == 0 {
		f.DSDT = uint64(b.u32(40))
	}
	f.SCI = b.u16(46)
	f.SMICommand = b.u32(48)
	f.ACPIEnable, f.ACPIDisable = b.u8(52), b.u8(53)
	f.Century = b.u8(108)
	if f.BootFlags = b.u16(109); b.u8(8) < 2 {
		f.BootFlags = BootLegacyDevices | Boot8042
	}
	if f.Flags&HardwareReduced != 0 {
		f.SleepControl = readAddress(b, 244)
	} else {
		f.PM1EventLength = b.u8(88)
		f.PM1aEvent = block(b, 148, 56, b.u8(88))
		f.PM1bEvent = block(b, 160, 60, b.u8(88))
		f.PM1aControl = block(b, 172, 64, b.u8(89))
		f.PM1bControl = block(b, 184, 68, b.u8(89))
		f.PMTimer = block(b, 208, 76, b.u8(91))
	}
	if f.PMTimer.Present() && f.PMTimer.Space <= InPorts {
		t.Has |= HasPMTimer
	}
	if f.Flags&ResetSupported != 0 && b.has(116, 13) {
		f.ResetRegister = readAddress(b, 116)
		f.ResetValue = b.u8(128)
		if f.ResetRegister.Present() && f.ResetRegister.Space <= InPCIConfig {
			t.Has |= HasReset
		}
	}
}

// block is the register block whose generic address stands at wide, or else whose port stands at
// old and whose length in bytes is length.
func block(b table, wide, old uint32, length uint8) Register {
	r := readAddress(b, wide)
	if r.Address == 0 {
		r = Register{}
		if port := b.u32(old); port != 0 && port <= 0xFFFF {
			r.Address, r.Space = uint64(port), InPorts
		}
	}
	if r.Address != 0 && r.Width == 0 {
		r.Width = uint8(min(uint(length)*8, 255))
	}
	return r
}

// readAddress reads a generic address structure (5.2.3.2).
func readAddress(b table, off uint32) Register {
	if !b.has(off, 12) {
		return Register{}
	}
	return Register{
		Space:   Space(b.u8(off)),
		Width:   b.u8(off + 1),
		Offset:  b.u8(off + 2),
		Access:  b.u8(off + 3),
		Address: b.u64(off + 4),
	}
}
