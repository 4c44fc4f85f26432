package acpitable

// Ports of the ACPI hardware of keel-1 (4.8.3).
const (
	PM1aEventPort   = 0x600 // PM1a_EVT_BLK: PM1_STS, PM1_EN, 2 bytes each
	PM1aControlPort = 0x604 // PM1a_CNT_BLK: PM1_CNT, 2 bytes
	PMTimerPort     = 0x608 // PM_TMR_BLK: 32 bits, 3.579545 MHz
	ResetPort       = 0xCF9 // RESET_REG, 1 byte
)

// Values that the tables tell the guest to use.
const (
	ResetValue  = 6 // written to ResetPort: reset
	SleepTypeS5 = 5 // SLP_TYP in PM1_CNT, with SLP_EN: power off (7.4.2.6)
)

// Interrupts of keel-1.
const (
	SCI          = 9          // GSI of the ACPI interrupt: level, active high
	TimerGSI     = 2          // where ISA interrupt 0, the 8254, arrives
	LocalAPIC    = 0xFEE00000 // address of every processor's local APIC
	IOAPIC       = 0xFEC00000 // address of the I/O APIC, whose first GSI is 0
	maxProcessor = 254        // local APIC IDs and the I/O APIC's below 255
)

// The memory balloon of keel-1, a virtio device behind MMIO registers (virtio 1.2, 4.2). Its interrupt is the first that
// no ISA device can have: level, active high.
const (
	BalloonBase = 0xD0000000 // in the device hole
	BalloonSize = 0x1000     // bytes
	BalloonGSI  = 16
)

// virtioMMIO is the _HID by which Linux finds such a device.
const virtioMMIO = "LNRO0005"

// MaxCPUs is the greatest number of processors that the tables can list.
const MaxCPUs = maxProcessor

// An isaDevice is a device at fixed ports with one interrupt, as the DSDT
// lists it.
type isaDevice struct {
	name  string // of 4 characters
	pnp   uint16 // product number of its EISA ID, PNPxxxx
	uid   uint64 // tells devices with one EISA ID apart
	ports []portRange
	irq   uint
}

type portRange struct {
	first  uint16
	length uint8
}

// isaDevices are the devices that a guest can't find by probing, or finds
// sooner when it is told. There is no mouse: a keyboard controller without
// PNP0F13 keeps Linux from searching for one.
var isaDevices = []isaDevice{
	{"COM1", 0x0501, 1, []portRange{{0x3F8, 8}}, 4},
	{"COM2", 0x0501, 2, []portRange{{0x2F8, 8}}, 3},
	{"COM3", 0x0501, 3, []portRange{{0x3E8, 8}}, 4},
	{"COM4", 0x0501, 4, []portRange{{0x2E8, 8}}, 3},
	{"RTC0", 0x0B00, 0, []portRange{{0x70, 2}}, 8},
	{"KBD0", 0x0303, 0, []portRange{{0x60, 1}, {0x64, 1}}, 1},
}
