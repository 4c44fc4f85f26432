package virt

// Indices into State.GPR, in the encoding order of the instruction set (SDM 2A table 2-2).
const (
	RAX = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

// Indices into State.Seg, in the order of the VMCS encodings (SDM 3D B.1.2).
const (
	ES = iota
	CS
	SS
	DS
	FS
	GS
	LDTR
	TR
)

// A Segment is a segment register with its hidden part. Attr has the VMX access-rights format
// (SDM 3C 25.4.1): type and S in bits 4:0, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16.
type Segment struct {
	Base     uint64
	Limit    uint32
	Attr     uint32
	Selector uint16
	_        [3]uint16
}

// A Table is GDTR or IDTR.
type Table struct {
	Base  uint64
	Limit uint32
	_     uint32
}

// HostXCR0 is XCR0 while the host runs: x87, SSE and AVX. An XSAVE area of a guest holds these.
const HostXCR0 = 7

// State is all architectural state of one virtual processor except its XSAVE area and its local
// APIC. It is what the guest would see: CR0 and CR4 are the guest's own values, not the
// processor's. GPR is live after every exit; everything from RIP on is only valid after Save,
// except where a vendor's Exit says otherwise.
type State struct {
	GPR [16]uint64 // GPR[RSP] is live only after Save under AMD-V and VT-x alike
	// X14 and X15 hold the low halves of the guest's XMM14 and XMM15 while Go code runs between
	// an exit and the next entry: the Go compiler uses these two, and only these, to move and
	// clear small structures.
	X14, X15 [2]uint64

	RIP, RFLAGS                          uint64
	CR0, CR2, CR3, CR4, EFER             uint64
	XCR0                                 uint64
	DR                                   [4]uint64
	DR6, DR7                             uint64
	Seg                                  [8]Segment
	GDTR, IDTR                           Table
	STAR, LSTAR, CSTAR, SFMASK           uint64
	KernelGSBase                         uint64
	SysenterCS, SysenterESP, SysenterEIP uint64
	PAT                                  uint64
	TSCAux                               uint64
	Interruptibility                     uint64 // SDM 3C table 25-3: bit 0 STI, bit 1 MOV SS, bit 3 NMI
	Activity                             uint64 // 0 active, 1 HLT, 3 wait-for-SIPI

	Exit Exit

	// Loaded is 1 while the processor holds the guest's SYSCALL MSRs, KERNEL_GS_BASE, TSC_AUX and
	// DR0 to DR3 and DR6 (SwitchIn); after SwitchOut it is 0 and the fields above hold them.
	Loaded uint64
}

// Exit says why a virtual processor left guest mode.
type Exit struct {
	Kind   Kind
	Reason uint32 // the vendor's own number, for counters and dumps
	Len    uint32 // length of the instruction, bytes; 0 where it isn't known or none
	_      uint32
	Qual   uint64 // VT-x exit qualification, or AMD-V EXITINFO1
	GPA    uint64 // guest-physical address of a KindMMIO or KindAPIC* exit
	GVA    uint64 // guest-linear address where the processor gives it, else 0

	// Port I/O (KindIO).
	Port   uint16
	Size   uint8 // 1, 2 or 4 bytes
	In     bool
	String bool
	Rep    bool
	// Of a string instruction only: the size of its address in bytes (2, 4 or 8), and the index of
	// the segment that OUTS reads through (INS always writes through ES).
	AddrSize uint8
	Segment  uint8

	// An exception of the guest that was intercepted (KindException), or the detail of an entry
	// failure.
	Vector  uint32
	ErrCode uint32
	Write   bool // KindMMIO: the access was a write; KindCR, KindDR: a move to the register
	_       [7]uint8
}

// A Kind is a cause of an exit.
type Kind uint32

const (
	KindUnknown       Kind = iota
	KindHostInterrupt      // an external interrupt of the host: let it in
	KindHostNMI            // an NMI of the host
	KindMachineCheck       // a machine check of the host
	KindInterruptWindow
	KindNMIWindow
	KindTimer // VMX-preemption timer
	KindCPUID
	KindHLT
	KindPause
	KindIO
	KindRDMSR
	KindWRMSR
	KindXSETBV
	KindCR        // handled by the vendor's HandleCR
	KindMMIO      // EPT violation or nested page fault
	KindAPICRead  // APIC-access exit, fault-like: needs decoding
	KindAPICWrite // trap-like: Qual is the register's offset, its value is in the page
	KindEOI       // virtualised EOI of a level-triggered vector (in Vector)
	KindTPR       // TPR below threshold
	KindTripleFault
	KindINIT
	KindSIPI
	KindUndefined // an instruction that the model doesn't have: inject #UD
	KindNop       // an instruction that is skipped: INVD, WBINVD
	KindException
	KindTaskSwitch
	KindFailedEntry // guest state was refused; run the checker
	KindCR8         // MOV to or from CR8 without a TPR shadow: the GPR is Vector, Write its direction
	KindProtection  // an instruction whose operand the model refuses: inject #GP(0), such as RDPMC
	KindResume      // nothing is left to do: enter again
	KindDelivery    // as KindMMIO, but while an event was delivered: its Vector
	Kinds           // the number of kinds
)

// An Event is an interrupt or exception to inject, in the format of the VM-entry
// interruption-information field (SDM 3C 25.8.3), which AMD's EVENTINJ shares for bits 31:0 but
// for the numbers of types: vector 7:0, type 10:8, error-code-valid 11, valid 31, error code 63:32.
type Event uint64

const (
	TypeInterrupt  = 0
	TypeNMI        = 2
	TypeException  = 3
	TypeSoftInt    = 4
	TypePrivSoft   = 5
	TypeSoftExc    = 6
	eventValid     = 1 << 31
	eventErrorCode = 1 << 11
)

// Interrupt is an external interrupt with a vector of 0 to 255.
func Interrupt(vector uint8) Event { return eventValid | Event(vector) }

// NMI is a non-maskable interrupt.
const NMI = Event(eventValid | TypeNMI<<8 | 2)

// Exception is a fault without an error code, such as #UD (6).
func Exception(vector uint8) Event { return eventValid | TypeException<<8 | Event(vector) }

// ExceptionCode is a fault with an error code, such as #GP (13).
func ExceptionCode(vector uint8, code uint32) Event {
	return eventValid | eventErrorCode | TypeException<<8 | Event(vector) | Event(code)<<32
}

// Valid says whether e holds an event at all: the zero Event doesn't.
func (e Event) Valid() bool { return e&eventValid != 0 }

// Vector is the event's vector.
func (e Event) Vector() uint8 { return uint8(e) }

// Type is one of the Type constants.
func (e Event) Type() uint8 { return uint8(e>>8) & 7 }

// Config is what a vendor needs to make a virtual processor. All addresses are physical and page
// aligned; all pages are zeroed.
type Config struct {
	Control    uint64 // VMCS or VMCB: one page
	MSRBitmap  uint64 // one page (VT-x) or two consecutive (AMD-V)
	IOBitmap   uint64 // two (VT-x) or three (AMD-V) consecutive pages, filled with ones by Init
	NestedRoot uint64 // the root of the EPT or nested page table
	APICPage   uint64 // the virtual-APIC page, 0 where none
	APICAccess uint64 // the page mapped at the guest's APIC base for APIC virtualisation, 0 where none
	ASID       uint32 // VPID or ASID, not 0
	TSCOffset  uint64
}
