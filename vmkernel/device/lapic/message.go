package lapic

// Message is an interrupt message between IOAPIC, message-signalled interrupts and local APICs: vector in bits 7-0, delivery
// mode in 10-8, logical destination mode in 11, level trigger in 15, ICR shorthand in 19-18, validity in 31, and a 32-bit
// destination in 63-32. The zero value is no message.
type Message uint64

// Delivery modes (SDM 3A 11.6.1).
const (
	Fixed          = 0
	LowestPriority = 1
	SMI            = 2 // never delivered: the virtual machine has no system-management mode
	NMI            = 4
	INIT           = 5
	StartUp        = 6
	ExtINT         = 7
)

// ICR destination shorthands.
const (
	shorthandNone       = 0
	shorthandSelf       = 1
	shorthandAll        = 2
	shorthandAllButSelf = 3
)

// Broadcast is the destination that means every local APIC.
const Broadcast = 0xFFFFFFFF

const (
	messageLogical   = 1 << 11
	messageLevel     = 1 << 15
	messageShorthand = 18
	messageValid     = 1 << 31
)

// Widen turns an 8-bit destination into a 32-bit one: FFH is the broadcast.
func Widen(dest uint8) uint32 {
	if dest == 0xFF {
		return Broadcast
	}
	return uint32(dest)
}

// NewMessage makes a message; mode is a delivery mode (0 to 7), dest 32 bits wide (see Widen).
func NewMessage(vector, mode uint8, dest uint32, logical, level bool) Message {
	m := Message(dest)<<32 | messageValid | Message(mode&7)<<8 | Message(vector)
	if logical {
		m |= messageLogical
	}
	if level {
		m |= messageLevel
	}
	return m
}

// Valid says whether there is a message.
func (m Message) Valid() bool { return m&messageValid != 0 }

// Vector is the interrupt vector; of a start-up message, the page number of the code to start at.
func (m Message) Vector() uint8 { return uint8(m) }

// Mode is the delivery mode.
func (m Message) Mode() uint8 { return uint8(m>>8) & 7 }

// Dest is the destination; Broadcast means all.
func (m Message) Dest() uint32 { return uint32(m >> 32) }

// Logical says that the destination is a logical one.
func (m Message) Logical() bool { return m&messageLogical != 0 }

// Level says that the message is level-triggered: its EOI goes to the IOAPICs.
func (m Message) Level() bool { return m&messageLevel != 0 }

func (m Message) shorthand() uint8 { return uint8(m>>messageShorthand) & 3 }
