package acpitable

import (
	"encoding/binary"
	"math/bits"
)

var le = binary.LittleEndian

// Identification in the header of every table (5.2.6).
const (
	oemID       = "KEEL  "
	oemTableID  = "KEEL1   "
	oemRevision = 1
	creatorID   = "KEEL"
)

const headerSize = 36

// table returns a system description table with its header and checksum.
func table(signature string, revision byte, body []byte) []byte {
	b := append([]byte(signature), 0, 0, 0, 0, revision, 0)
	b = append(b, oemID...)
	b = append(b, oemTableID...)
	b = le.AppendUint32(b, oemRevision)
	b = append(b, creatorID...)
	b = le.AppendUint32(b, oemRevision)
	b = append(b, body...)
	le.PutUint32(b[4:], uint32(len(b)))
	b[9] = checksum(b)
	return b
}

// checksum returns what has to be added to make the sum of b zero.
func checksum(b []byte) byte {
	var sum byte
	for _, c := range b {
		sum += c
	}
	return -sum
}

// rsdp returns the root system description pointer, revision 2 (5.2.5.3).
func rsdp(rsdt uint32, xsdt uint64) []byte {
	const oldSize, size = 20, 36
	b := append([]byte("RSD PTR "), 0)
	b = append(b, oemID...)
	b = append(b, 2)
	b = le.AppendUint32(b, rsdt)
	b = le.AppendUint32(b, size)
	b = le.AppendUint64(b, xsdt)
	b = append(b, 0, 0, 0, 0)
	b[8] = checksum(b[:oldSize])
	b[32] = checksum(b)
	return b
}

// rsdt returns the root table with 32-bit addresses, for kernels that know
// no other (5.2.7).
func rsdt(tables ...uint64) []byte {
	var b []byte
	for _, t := range tables {
		b = le.AppendUint32(b, uint32(t))
	}
	return table("RSDT", 1, b)
}

// xsdt returns the root table with 64-bit addresses (5.2.8).
func xsdt(tables ...uint64) []byte {
	var b []byte
	for _, t := range tables {
		b = le.AppendUint64(b, t)
	}
	return table("XSDT", 1, b)
}

// facs returns the firmware ACPI control structure (5.2.10). It has neither
// the common header nor a checksum.
func facs() []byte {
	const size, version = 64, 2
	b := make([]byte, size)
	copy(b, "FACS")
	le.PutUint32(b[4:], size)
	b[32] = version
	return b
}

// Bits of the FADT (5.2.9, tables 5.10 and 5.11).
const (
	bootLegacyDevices = 1 << 0 // IA-PC boot architecture flags
	boot8042          = 1 << 1
	bootNoVGA         = 1 << 2

	fadtWBINVD        = 1 << 0
	fadtProcC1        = 1 << 2
	fadtNoSleepButton = 1 << 5
	fadtRTCNotFixed   = 1 << 6
	fadtTimer32       = 1 << 8 // TMR_VAL_EXT
	fadtReset         = 1 << 10
)

// fadt returns the fixed ACPI description table, revision 6.5. There is no
// SMI command port: the machine is always in ACPI mode. Blocks that aren't
// mentioned don't exist.
func fadt(facs, dsdt uint64) []byte {
	const size = 276
	b := make([]byte, size)
	b8 := func(off int, v byte) { b[off] = v }
	b16 := func(off int, v uint16) { le.PutUint16(b[off:], v) }
	b32 := func(off int, v uint32) { le.PutUint32(b[off:], v) }

	b32(36, uint32(facs)) // FIRMWARE_CTRL; X_FIRMWARE_CTRL must then be 0
	b32(40, uint32(dsdt))
	b16(46, SCI)
	b32(56, PM1aEventPort)
	b32(64, PM1aControlPort)
	b32(76, PMTimerPort)
	b8(88, 4)       // PM1_EVT_LEN
	b8(89, 2)       // PM1_CNT_LEN
	b8(91, 4)       // PM_TMR_LEN
	b16(96, 0x0FFF) // P_LVL2_LAT: no C2
	b16(98, 0x0FFF) // P_LVL3_LAT: no C3
	b16(109, bootLegacyDevices|boot8042|bootNoVGA)
	b32(112, fadtWBINVD|fadtProcC1|fadtNoSleepButton|fadtRTCNotFixed|fadtTimer32|fadtReset)
	copy(b[116:], port(ResetPort, 1, 1))
	b8(128, ResetValue)
	b8(131, 5) // minor version
	le.PutUint64(b[140:], dsdt)
	copy(b[148:], port(PM1aEventPort, 4, 2))
	copy(b[172:], port(PM1aControlPort, 2, 2))
	copy(b[208:], port(PMTimerPort, 4, 4))
	copy(b[268:], "KEEL") // hypervisor vendor identity
	return table("FACP", 6, b[headerSize:])
}

// port returns the generic address structure of a register block of n bytes
// in I/O space that is accessed by units of 1, 2 or 4 bytes (5.2.3.2).
func port(addr uint16, n, unit byte) []byte {
	const ioSpace = 1
	accessSize := byte(bits.Len8(unit))        // 1, 2, 3
	b := []byte{ioSpace, n * 8, 0, accessSize} // width and offset in bits
	return le.AppendUint64(b, uint64(addr))
}

// Structure types and flags of the MADT (5.2.12).
const (
	madtLocalAPIC    = 0
	madtIOAPIC       = 1
	madtOverride     = 2
	madtLocalNMI     = 4
	madtRevision     = 6
	madtPCAT         = 1 << 0 // there is a pair of 8259s as well
	madtEnabled      = 1 << 0
	madtActiveHigh   = 1 << 0
	madtLevel        = 3 << 2
	madtAllProcessor = 0xFF
	isaBus           = 0
)

// madt returns the multiple APIC description table for cpus processors with
// the local APIC IDs from 0. The I/O APIC has the ID after them.
func madt(cpus int) []byte {
	b := le.AppendUint32(nil, LocalAPIC)
	b = le.AppendUint32(b, madtPCAT)
	for i := range cpus {
		b = append(b, madtLocalAPIC, 8, byte(i), byte(i))
		b = le.AppendUint32(b, madtEnabled)
	}
	b = append(b, madtIOAPIC, 12, byte(cpus), 0)
	b = le.AppendUint32(b, IOAPIC)
	b = le.AppendUint32(b, 0) // first GSI
	b = override(b, 0, TimerGSI, 0)
	b = override(b, SCI, SCI, madtActiveHigh|madtLevel)
	b = append(b, madtLocalNMI, 6, madtAllProcessor, 0, 0, 1) // LINT1
	return table("APIC", madtRevision, b)
}

// override appends an interrupt source override of the ISA interrupt irq.
func override(b []byte, irq byte, gsi uint32, flags uint16) []byte {
	b = append(b, madtOverride, 10, isaBus, irq)
	b = le.AppendUint32(b, gsi)
	return le.AppendUint16(b, flags)
}

// dsdt returns the differentiated system description table: how to switch
// off, the ISA devices, and the balloon. There is no PCI bus.
func dsdt() []byte {
	var devices [][]byte
	for _, d := range isaDevices {
		var list [][]byte
		for _, p := range d.ports {
			list = append(list, ioPorts(p.first, p.length))
		}
		list = append(list, irqNoFlags(d.irq))
		devices = append(devices, device(d.name,
			named("_HID", eisaID("PNP", d.pnp)),
			named("_UID", integer(d.uid)),
			named("_CRS", resources(list...))))
	}
	devices = append(devices, device("BLN0",
		named("_HID", text(virtioMMIO)),
		named("_UID", integer(0)),
		named("_CRS", resources(memory32(BalloonBase, BalloonSize), interrupt(BalloonGSI)))))
	// SLP_TYPa, SLP_TYPb, and two reserved elements (7.4.2).
	s5 := pack(integer(SleepTypeS5), integer(0), integer(0), integer(0))
	return table("DSDT", 2, join(named(`\_S5`, s5), scope(`\_SB`, devices...)))
}
