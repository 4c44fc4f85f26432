package acpipm

import (
	"sync"

	"keel/vmkernel/device"
)

const (
	// First is the port of the PM1a event block as the FADT says.
	First = 0x600
	// Ports is how many ports PM1 takes: 4 of PM1a_EVT_BLK, then 2 of
	// PM1a_CNT_BLK.
	Ports = 6
	// ControlOffset is where in these PM1a_CNT_BLK begins.
	ControlOffset = 4
	// SleepS5 is the SLP_TYP value of S5, for the DSDT's _S5 object.
	SleepS5 = 5
)

// PM1 status bits, write one to clear (ACPI 6.5, 4.8.3.1.1). The timer's
// never sets here: the 32-bit PM timer is enough without its carry.
const (
	stsTimer    = 1 << 0
	stsGlobal   = 1 << 5
	stsPowerBtn = 1 << 8
	stsSleepBtn = 1 << 9
	stsRTC      = 1 << 10
)

// enableMask is which PM1 enable bits exist (4.8.3.1.2).
const enableMask = stsTimer | stsGlobal | stsPowerBtn | stsSleepBtn | stsRTC

// PM1 control bits (4.8.3.2.1).
const (
	cntSCIEnable = 1 << 0
	cntBusMaster = 1 << 1
	cntSleepType = 7 << 10
	cntSleep     = 1 << 13 // write-only
	cntMask      = cntBusMaster | cntSleepType
)

// PM1 is a device.PortDevice of 6 ports.
type PM1 struct {
	machine device.Machine

	mu      sync.Mutex
	sci     device.Line
	status  uint16
	enable  uint16
	control uint16
	level   bool
}

// New returns the PM1 registers after reset. sci is the system control
// interrupt; a nil one is not connected.
func New(m device.Machine, sci device.Line) *PM1 {
	if sci == nil {
		sci = device.Unconnected{}
	}
	return &PM1{machine: m, sci: sci}
}

// PressPowerButton tells the guest that its power button was pressed. It does
// nothing visible in a guest that hasn't enabled the event.
func (p *PM1) PressPowerButton() {
	p.mu.Lock()
	p.status |= stsPowerBtn
	p.update()
	p.mu.Unlock()
}

// In reads PM1 status, enable and control, in any width.
func (p *PM1) In(port uint16, size int) uint32 {
	p.mu.Lock()
	all := uint64(p.status) | uint64(p.enable)<<16 | uint64(p.control|cntSCIEnable)<<32
	p.mu.Unlock()
	return uint32(all >> (8 * (port & 7)) & (1<<(8*size) - 1))
}

// Out writes PM1 status, enable and control, in any width. Setting SLP_EN
// with the sleep type of S5 powers the VM off; other types have no effect.
func (p *PM1) Out(port uint16, size int, v uint32) {
	sleep := false
	p.mu.Lock()
	for i := range size {
		if p.writeByte(port+uint16(i), uint16(v>>(8*i)&0xff)) {
			sleep = true
		}
	}
	p.update()
	off := sleep && p.control&cntSleepType == SleepS5<<10
	p.mu.Unlock()
	if off {
		p.machine.PowerOff()
	}
}

// writeByte writes one byte of the registers and reports whether it set SLP_EN.
func (p *PM1) writeByte(port, v uint16) (sleep bool) {
	shift := port & 1 * 8
	at, keep := v<<shift, uint16(0xff00)>>shift
	switch port &^ 1 {
	case 0:
		p.status &^= at
	case 2:
		p.enable = (p.enable&keep | at) & enableMask
	case ControlOffset:
		p.control = (p.control&keep | at) & cntMask
		return at&cntSleep != 0
	}
	return false
}

// update sets the SCI to what is pending.
func (p *PM1) update() {
	if level := p.status&p.enable != 0; level != p.level {
		p.level = level
		p.sci.Set(level)
	}
}
