package acpi

// Capacities of the fixed structure.
const (
	MaxCPUs      = 256
	MaxIOAPICs   = 16
	MaxOverrides = 16
	MaxNMIs      = 16
	MaxECAMs     = 16
	MaxTables    = 64
	MaxBad       = 16

	MaxAffinities = 64 // ranges of memory
)

// Signature is the name of a table: four letters, the first in the lowest byte (ACPI 5.2.6).
type Signature uint32

const (
	sigRSDP Signature = 'R' | 'S'<<8 | 'D'<<16 | 'P'<<24
	RSDT    Signature = 'R' | 'S'<<8 | 'D'<<16 | 'T'<<24
	XSDT    Signature = 'X' | 'S'<<8 | 'D'<<16 | 'T'<<24
	MADT    Signature = 'A' | 'P'<<8 | 'I'<<16 | 'C'<<24
	FADT    Signature = 'F' | 'A'<<8 | 'C'<<16 | 'P'<<24
	DSDT    Signature = 'D' | 'S'<<8 | 'D'<<16 | 'T'<<24
	SSDT    Signature = 'S' | 'S'<<8 | 'D'<<16 | 'T'<<24
	HPET    Signature = 'H' | 'P'<<8 | 'E'<<16 | 'T'<<24
	MCFG    Signature = 'M' | 'C'<<8 | 'F'<<16 | 'G'<<24
	SRAT    Signature = 'S' | 'R'<<8 | 'A'<<16 | 'T'<<24
)

// Text is the signature's four letters, with a question mark for each byte that is none.
func (s Signature) Text() [4]byte {
	var text [4]byte
	for i := range text {
		c := byte(s >> (8 * i))
		if c < ' ' || c > '~' {
			c = '?'
		}
		text[i] = c
	}
	return text
}

// Has says which parts of Tables were found.
type Has uint32

const (
	HasMADT    Has = 1 << iota
	HasFADT        // PM1, PMTimer, Reset and Sleep may still be empty
	HasHPET        //
	HasMCFG        //
	HasS5          // SleepTypeA and SleepTypeB: power-off works
	HasReset       // ResetRegister and ResetValue
	HasPMTimer     //
	Has8259        // two 8259 interrupt controllers are there and must be masked (MADT flag PCAT_COMPAT)
	HasXSDT        // the root was an XSDT, not an RSDT
	HasScanned     // the RSDP was not given, or not valid, and was searched for
	HasSRAT        // Affinities: at least one, none overlaps another
)

// Tables is what the firmware says about the machine. All addresses are physical. The zero value
// is an empty one.
type Tables struct {
	Has      Has
	Revision uint8 // of the RSDP: 0 for ACPI 1.0, 2 for everything since
	RSDP     uint64
	Root     uint64 // the XSDT or RSDT

	LocalAPIC    uint64 // address of the local APICs' registers
	CPUsDisabled uint32 // processors that the firmware lists and says can't be used
	Dropped      uint32 // entries that were valid and found no room, of any kind

	NumCPUs, NumIOAPICs, NumOverrides, NumNMIs uint32
	NumECAMs, NumTables, NumBad                uint32
	NumAffinities, NumCPUDomains               uint32

	FADT FixedHardware
	HPET Timer

	CPUs       [MaxCPUs]CPU // enabled ones, each local APIC ID once, in the firmware's order
	IOAPICs    [MaxIOAPICs]IOAPIC
	Overrides  [MaxOverrides]Override
	NMIs       [MaxNMIs]NMISource
	ECAMs      [MaxECAMs]ECAM
	Affinities [MaxAffinities]Affinity
	CPUDomains [MaxCPUs]CPUDomain // each local APIC ID once
	Directory  [MaxTables]Entry   // every valid table, DSDT included
	Bad        [MaxBad]BadTable   // the first ones; NumBad counts on
}

// CPU is a processor that can be started (ACPI 5.2.12.2, 5.2.12.12).
type CPU struct {
	APICID   uint32 // above 254 only reachable in x2APIC mode
	UID      uint32 // ACPI processor UID
	NMIFlags Flags  // of the local interrupt pin that carries NMI
	NMIPin   uint8  // 0 or 1: LINT0 or LINT1, or NoPin
}

// Affinity says which proximity domain memory is in (5.2.16.2).
type Affinity struct {
	Base, Length uint64 // bytes; Length isn't 0, and the sum doesn't wrap
	Domain       uint32
}

// CPUDomain says which proximity domain a processor is in (5.2.16.1, 5.2.16.3).
type CPUDomain struct{ APICID, Domain uint32 }

// NoPin is the CPU.NMIPin of a processor for which no NMI pin is declared.
const NoPin = 0xFF

// IOAPIC is an I/O interrupt controller (5.2.12.3). How many pins it has stands in its version register.
type IOAPIC struct {
	Address uint64
	GSIBase uint32 // the global system interrupt of its pin 0
	ID      uint8
}

// Override says that an ISA interrupt arrives elsewhere than at the GSI of its number (5.2.12.5).
type Override struct {
	GSI    uint32
	Flags  Flags
	Source uint8 // ISA interrupt
}

// NMISource is a global system interrupt that must be delivered as NMI (5.2.12.6).
type NMISource struct {
	GSI   uint32
	Flags Flags
}

// Flags are the polarity and trigger mode of an interrupt, MPS INTI flags (5.2.12.5 table 5.26).
type Flags uint16

// Polarity and trigger mode, where they don't follow the bus's specification.
func (f Flags) ActiveHigh() bool { return f&3 == 1 }
func (f Flags) ActiveLow() bool  { return f&3 == 3 }
func (f Flags) Edge() bool       { return f>>2&3 == 1 }
func (f Flags) Level() bool      { return f>>2&3 == 3 }

// ECAM is PCI configuration space in memory for buses StartBus to EndBus of a segment: bus b's begins
// at Base + b<<20 (PCI Firmware Specification 4.1.2).
type ECAM struct {
	Base             uint64
	Segment          uint16
	StartBus, EndBus uint8
}

// Timer is the HPET's event timer block (IA-PC HPET 3.2.4).
type Timer struct {
	Address uint64 // of the registers, in memory
	ID      uint32 // hardware ID, the low half of the general capabilities register
	MinTick uint16 // least periodic count that loses no interrupt
	Number  uint8
}

// Entry is where a table lies; Length in bytes, header included.
type Entry struct {
	Address   uint64
	Length    uint32
	Signature Signature
}

// Fault is what is wrong with a table.
type Fault uint8

const (
	Unreadable  Fault = 1 // it lies outside the memory that can be read
	BadLength   Fault = 2 // shorter than its header or fixed part, or over 16 MiB
	BadChecksum Fault = 3
	BadContent  Fault = 4 // an entry in it is malformed: read up to there, and used
	WrongName   Fault = 5 // the signature is not that of the table that should be there
)

func (f Fault) String() string {
	switch f {
	case Unreadable:
		return "lies outside readable memory"
	case BadLength:
		return "has an impossible length"
	case BadChecksum:
		return "has a wrong checksum"
	case BadContent:
		return "has a malformed entry"
	case WrongName:
		return "has the wrong signature"
	}
	return "is sound"
}

// BadTable names a table that was left out, wholly or in part.
type BadTable struct {
	Address   uint64
	Signature Signature
	Fault     Fault
}

// Find is the first table of that name in the directory: address and length in bytes, or 0, 0.
func (t *Tables) Find(s Signature) (address uint64, length uint32) {
	for i := uint32(0); i < t.NumTables; i++ {
		if e := &t.Directory[i]; e.Signature == s {
			return e.Address, e.Length
		}
	}
	return 0, 0
}

// ISA gives the global system interrupt of ISA interrupt irq, and its polarity and trigger mode as
// an IOAPIC wants them; edge and active high are ISA's own. ACPI's interrupt (FADT.SCI) is level
// and active low unless an override says otherwise (5.2.9, 5.2.12.5).
func (t *Tables) ISA(irq uint8) (gsi uint32, activeLow, level bool) {
	gsi = uint32(irq)
	sci := t.Has&HasFADT != 0 && t.FADT.SCI == uint16(irq)
	activeLow, level = sci, sci
	for i := uint32(0); i < t.NumOverrides; i++ {
		o := &t.Overrides[i]
		if o.Source != irq {
			continue
		}
		gsi = o.GSI
		if o.Flags.ActiveLow() || o.Flags.ActiveHigh() {
			activeLow = o.Flags.ActiveLow()
		}
		if o.Flags.Level() || o.Flags.Edge() {
			level = o.Flags.Level()
		}
		break
	}
	return gsi, activeLow, level
}

// bad records a table that is left out.
func (t *Tables) bad(s Signature, address uint64, f Fault) {
	if t.NumBad < MaxBad {
		b := &t.Bad[t.NumBad]
		b.Address, b.Signature, b.Fault = address, s, f
	}
	t.NumBad++
}
