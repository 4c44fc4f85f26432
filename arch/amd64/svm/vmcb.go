package svm

// A Segment is a segment or table register in the VMCB (APM 2 table B-2). Attrib holds bits 55:52
// and 47:40 of the descriptor: type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D/B 10, G 11.
type Segment struct {
	Selector uint16
	Attrib   uint16
	Limit    uint32
	Base     uint64
}

// VMCB is the virtual machine control block: the control area (APM 2 table B-1) and, from 400H,
// the state save area (table B-2).
type VMCB struct {
	InterceptCR        uint32 // 000h: reads 15:0, writes 31:16
	InterceptDR        uint32 // 004h: reads 15:0, writes 31:16
	InterceptException uint32 // 008h: one bit a vector
	InterceptMisc1     uint32 // 00Ch
	InterceptMisc2     uint32 // 010h
	InterceptMisc3     uint32 // 014h
	_                  [0x24]byte
	PauseThreshold     uint16    // 03Ch: cycles between two PAUSEs of one loop
	PauseCount         uint16    // 03Eh
	IOPMBase           uint64    // 040h
	MSRPMBase          uint64    // 048h
	TSCOffset          uint64    // 050h
	ASID               uint32    // 058h
	TLBControl         uint32    // 05Ch
	VIntr              uint64    // 060h: virtual interrupt control
	IntShadow          uint64    // 068h: bit 0 interrupt shadow
	ExitCode           uint64    // 070h
	ExitInfo1          uint64    // 078h
	ExitInfo2          uint64    // 080h
	ExitIntInfo        uint64    // 088h
	NestedControl      uint64    // 090h: bit 0 nested paging
	AVICBar            uint64    // 098h
	GHCB               uint64    // 0A0h
	EventInj           uint64    // 0A8h
	NCR3               uint64    // 0B0h: root of the nested page table
	LBRControl         uint64    // 0B8h: bit 0 virtualises DEBUGCTL and the last-branch registers
	Clean              uint64    // 0C0h
	NRIP               uint64    // 0C8h: address of the next instruction
	InsnLen            uint8     // 0D0h: bytes in Insn, 0 to 15
	Insn               [15]uint8 // 0D1h
	AVICBackingPage    uint64    // 0E0h
	_                  uint64
	AVICLogical        uint64 // 0F0h
	AVICPhysical       uint64 // 0F8h
	_                  [0x300]byte

	ES, CS, SS, DS, FS, GS Segment // 400h
	GDTR, LDTR, IDTR, TR   Segment // 460h
	_                      [0x2B]byte
	CPL                    uint8 // 4CBh
	_                      uint32
	EFER                   uint64 // 4D0h
	_                      [0x70]byte
	CR4                    uint64 // 548h
	CR3                    uint64 // 550h
	CR0                    uint64 // 558h
	DR7                    uint64 // 560h
	DR6                    uint64 // 568h
	RFLAGS                 uint64 // 570h
	RIP                    uint64 // 578h
	_                      [0x58]byte
	RSP                    uint64 // 5D8h
	SCET                   uint64 // 5E0h
	SSP                    uint64 // 5E8h
	ISSTAddr               uint64 // 5F0h
	RAX                    uint64 // 5F8h
	STAR                   uint64 // 600h
	LSTAR                  uint64 // 608h
	CSTAR                  uint64 // 610h
	SFMASK                 uint64 // 618h
	KernelGSBase           uint64 // 620h
	SysenterCS             uint64 // 628h
	SysenterESP            uint64 // 630h
	SysenterEIP            uint64 // 638h
	CR2                    uint64 // 640h
	_                      [0x20]byte
	GPAT                   uint64 // 668h
	DebugCtl               uint64 // 670h
	BranchFrom             uint64 // 678h
	BranchTo               uint64 // 680h
	LastExcpFrom           uint64 // 688h
	LastExcpTo             uint64 // 690h
	_                      [0x48]byte
	SpecCtrl               uint64 // 6E0h
	_                      [0x918]byte
}

// Bits of InterceptCR.
const (
	interceptCR4Write = 1 << (16 + 4)
	interceptCR4Read  = 1 << 4
	interceptCR8Read  = 1 << 8
	interceptCR8Write = 1 << (16 + 8)
)

// Bits of InterceptMisc1.
const (
	interceptINTR       = 1 << 0
	interceptNMI        = 1 << 1
	interceptSMI        = 1 << 2
	interceptINIT       = 1 << 3
	interceptVINTR      = 1 << 4
	interceptCR0        = 1 << 5 // writes that change more than TS and MP
	interceptRDPMC      = 1 << 15
	interceptCPUID      = 1 << 18
	interceptRSM        = 1 << 19
	interceptIRET       = 1 << 20
	interceptINVD       = 1 << 22
	interceptPAUSE      = 1 << 23
	interceptHLT        = 1 << 24
	interceptINVLPGA    = 1 << 26
	interceptIOIO       = 1 << 27
	interceptMSR        = 1 << 28
	interceptTaskSwitch = 1 << 29
	interceptFERRFreeze = 1 << 30
	interceptShutdown   = 1 << 31
)

// Bits of InterceptMisc2.
const (
	interceptVMRUN   = 1 << 0
	interceptVMMCALL = 1 << 1
	interceptVMLOAD  = 1 << 2
	interceptVMSAVE  = 1 << 3
	interceptSTGI    = 1 << 4
	interceptCLGI    = 1 << 5
	interceptSKINIT  = 1 << 6
	interceptWBINVD  = 1 << 9
	interceptMONITOR = 1 << 10
	interceptMWAIT   = 1 << 11
	interceptXSETBV  = 1 << 13
	interceptRDPRU   = 1 << 14
)

// Bits of InterceptMisc3.
const interceptMCOMMIT = 1 << 3

// Intercepts that every virtual processor has from Init on. SMI isn't among them: the processor
// then serves system management mode beneath the guest. #DB and #AC are, since a guest could
// otherwise raise them without end, with no instruction boundary for a host interrupt between.
const (
	baseCR         = interceptCR4Write
	baseExceptions = 1<<vectorDB | 1<<vectorAC | 1<<vectorMC
	baseMisc1      = interceptINTR | interceptNMI | interceptINIT | interceptCR0 | interceptRDPMC |
		interceptCPUID | interceptRSM | interceptINVD | interceptPAUSE | interceptHLT | interceptINVLPGA |
		interceptIOIO | interceptMSR | interceptTaskSwitch | interceptFERRFreeze | interceptShutdown
	baseMisc2 = interceptVMRUN | interceptVMMCALL | interceptVMLOAD | interceptVMSAVE |
		interceptSTGI | interceptCLGI | interceptSKINIT | interceptWBINVD | interceptMONITOR |
		interceptMWAIT | interceptXSETBV
)

// Vectors of exceptions that this package treats by name.
const (
	vectorDB  = 1
	vectorNMI = 2
	vectorBP  = 3
	vectorOF  = 4
	vectorDF  = 8
	vectorGP  = 13
	vectorAC  = 17
	vectorMC  = 18
)

// Bits of VIntr (APM 2 15.21).
const (
	vTPR         = 0xF
	vIRQ         = 1 << 8
	vIntrPrio    = 0xF << 16
	vIgnTPR      = 1 << 20
	vIntrMasking = 1 << 24
	vIntrRequest = vIRQ | vIntrPrio | vIgnTPR // whatever the task priority

	vIntrVectorShift = 32
	vIntrVector      = 0xFF << vIntrVectorShift
)

// Values of TLBControl (APM 2 15.16.2).
const (
	tlbFlushAll  = 1
	tlbFlushASID = 3
)

// Bits of Clean (APM 2 15.15.3): the group of fields is as the processor last saw it.
const (
	cleanI    = 1 << iota // intercepts, TSC offset, PAUSE filter
	cleanIOPM             // IOPMBase, MSRPMBase
	cleanASID             // ASID
	cleanTPR              // VIntr
	cleanNP               // NestedControl, NCR3, GPAT
	cleanCRx              // CR0, CR3, CR4, EFER
	cleanDRx              // DR6, DR7
	cleanDT               // GDTR, IDTR
	cleanSEG              // CS, DS, SS, ES, CPL
	cleanCR2              // CR2
	cleanLBR              // DebugCtl and the last-branch registers
	cleanAVIC             // AVIC fields
	cleanAll  = 1<<12 - 1
)

const (
	nestedPaging = 1 // NestedControl
	lbrEnable    = 1 // LBRControl
	intShadow    = 1 // IntShadow
)

// EVENTINJ and EXITINTINFO (APM 2 15.20, 15.7.2).
const (
	eventValid     = 1 << 31
	eventErrorCode = 1 << 11
	eventType      = 7 << 8
	eventMask      = 0xFFFF_FFFF<<32 | eventValid | eventErrorCode | eventType | 0xFF
)

// Bits of RFLAGS, DR6, DR7 and of segment attributes.
const (
	flagFixed = 1 << 1
	flagTF    = 1 << 8
	flagIF    = 1 << 9
	flagRF    = 1 << 16
	flagVM    = 1 << 17

	dr6Fixed = 0xFFFF_0FF0
	dr6BD    = 1 << 13
	dr6BS    = 1 << 14
	dr7Fixed = 1 << 10
	dr7GD    = 1 << 13

	attribS = 1 << 4
	attribP = 1 << 7
	attribL = 1 << 9
	attribD = 1 << 10
	attribG = 1 << 11
)
