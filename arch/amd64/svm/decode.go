package svm

import (
	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Decode says in s.Exit why the guest left. It is called once after each Enter, and puts an event
// whose delivery was interrupted up for the next one.
func (v *VCPU) Decode(s *virt.State) {
	c, e := v.vmcb(), &s.Exit
	code := uint32(c.ExitCode)
	e.Reason, e.Qual = code, c.ExitInfo1
	e.Len, e.GPA, e.GVA = 0, 0, 0
	if v.freeCR0 {
		v.interceptCR0(c, true)
	}
	stepped := v.followNMI(c)
	v.reinject(c.ExitIntInfo)
	if v.offered {
		v.settle(c)
	}
	switch code {
	case exitINTR:
		e.Kind = virt.KindHostInterrupt
	case exitNMI:
		e.Kind = virt.KindHostNMI
	case exitINIT:
		e.Kind = virt.KindINIT
	case exitVINTR:
		v.WantInterruptWindow(false)
		e.Kind = virt.KindInterruptWindow
	case exitCPUID:
		e.Kind, e.Len = virt.KindCPUID, v.length(c, opCPUID)
	case exitHLT:
		e.Kind, e.Len = virt.KindHLT, v.length(c, opHLT)
	case exitPAUSE:
		e.Kind, e.Len = virt.KindPause, v.length(c, opPAUSE)
	case exitIOIO:
		v.decodeIO(c, e)
	case exitMSR:
		e.Kind, e.Len = virt.KindRDMSR, v.length(c, opRDMSR)
		if c.ExitInfo1&1 != 0 {
			e.Kind, e.Len = virt.KindWRMSR, v.length(c, opWRMSR)
		}
	case exitNPF:
		e.Kind, e.GPA, e.Write = virt.KindMMIO, c.ExitInfo2, c.ExitInfo1&(1<<1) != 0
		if c.ExitIntInfo&eventValid != 0 {
			e.Kind, e.Vector = virt.KindDelivery, uint32(c.ExitIntInfo&0xFF)
		}
	case exitXSETBV:
		v.decodeXSETBV(c, e)
	case exitINVD:
		e.Kind, e.Len = virt.KindNop, v.length(c, opINVD)
	case exitWBINVD:
		e.Kind, e.Len = virt.KindNop, v.length(c, opWBINVD)
	case exitReadCR + 4, exitReadCR + 8, exitWriteCR + 4, exitWriteCR + 8:
		if code == exitWriteCR+8 && v.apic != 0 {
			v.writeTPR(c, s)
		} else {
			v.decodeCR(c, e, int(code&0xF), code >= exitWriteCR)
		}
	case exitCR0SelWrite:
		if v.decodeCR(c, e, 0, true); e.Len == 0 {
			v.interceptCR0(c, false)
			e.Kind = virt.KindResume
		}
	case exitIRET:
		v.interceptIRET(c, false)
		v.nmi.atIRET, v.nmi.rip = true, c.RIP
		e.Kind = virt.KindResume
	case exitRDPMC:
		e.Kind = virt.KindProtection // no such counter
	case exitException + vectorDB:
		e.Kind = v.debugException(c, stepped)
	case exitException + vectorAC:
		v.Inject(virt.ExceptionCode(vectorAC, uint32(c.ExitInfo1)))
		e.Kind = virt.KindResume
	case exitException + vectorMC:
		e.Kind = virt.KindMachineCheck
	case exitTaskSwitch:
		e.Kind = virt.KindTaskSwitch
	case exitFERRFreeze:
		e.Kind = virt.KindPause // the processor waits for an interrupt, after which it comes again
	case exitShutdown:
		e.Kind = virt.KindTripleFault
	case exitVMRUN, exitVMMCALL, exitVMLOAD, exitVMSAVE, exitSTGI, exitCLGI, exitSKINIT, exitINVLPGA,
		exitMONITOR, exitMWAIT, exitMWAITArmed, exitRSM, exitRDPRU, exitMCOMMIT:
		e.Kind = virt.KindUndefined
	case exitInvalid:
		e.Kind = virt.KindFailedEntry
		if v.refusedCR3(c, s) {
			e.Kind = virt.KindProtection
		}
	default:
		e.Kind = virt.KindUnknown
		if code >= exitException && code < exitException+32 {
			e.Kind, e.Vector, e.ErrCode = virt.KindException, code-exitException, uint32(c.ExitInfo1)
		}
	}
}

// decodeIO takes EXITINFO1 of an IOIO exit apart (APM 2 15.10.2); EXITINFO2 is the address of the
// next instruction.
func (v *VCPU) decodeIO(c *VMCB, e *virt.Exit) {
	info := c.ExitInfo1
	e.Kind = virt.KindIO
	e.Port = uint16(info >> 16)
	e.Size = uint8(info>>4) & 7
	e.In = info&(1<<0) != 0
	e.String = info&(1<<2) != 0
	e.Rep = info&(1<<3) != 0
	e.Len = uint32(c.ExitInfo2-c.RIP) & 0xF
	e.AddrSize, e.Segment = 0, 0
	if e.String {
		v.decodeString(c, e)
	}
}

// decodeString finds the size of a string instruction's address and the segment of OUTS, which
// processors without decode assists don't report.
func (v *VCPU) decodeString(c *VMCB, e *virt.Exit) {
	lo, hi, n := v.Fetch()
	_, p := prefixes(lo, hi, n, c.long())
	e.Segment = virt.DS
	if s := uint8(p & prefixSegmentMask >> prefixSegmentShift); s != 0 {
		e.Segment = s - 1
	}
	e.AddrSize = uint8(c.ExitInfo1>>7) & 7 * 2
	if e.AddrSize != 0 {
		return
	}
	small := p&prefixAddress != 0
	switch {
	case c.long() && small, !c.long() && (c.CS.Attrib&attribD != 0) != small:
		e.AddrSize = 4
	case c.long():
		e.AddrSize = 8
	default:
		e.AddrSize = 2
	}
}

// decodeXSETBV does first what the processor does after the intercept: #UD without CR4.OSXSAVE and
// #GP at a privilege level other than 0.
func (v *VCPU) decodeXSETBV(c *VMCB, e *virt.Exit) {
	switch {
	case c.CR4&amd64.CR4_OSXSAVE == 0:
		e.Kind = virt.KindUndefined
	case c.CPL != 0:
		e.Kind = virt.KindProtection
	default:
		e.Kind, e.Len = virt.KindXSETBV, v.length(c, opXSETBV)
	}
}

// length is the length of the instruction op at the guest's RIP, bytes.
func (v *VCPU) length(c *VMCB, op opcode) uint32 {
	if v.features&featNRIPSave != 0 && c.NRIP != 0 {
		return uint32(c.NRIP-c.RIP) & 0xF
	}
	lo, hi, n := v.Fetch()
	return op.length(lo, hi, n, c.long())
}
