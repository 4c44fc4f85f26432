package virtio

import (
	"encoding/binary"
	"sync"

	"keel/vmkernel/device"
	"keel/vmkernel/vm/guestmem"
)

var le = binary.LittleEndian

// A Device is what is behind a transport. All methods are called with the transport's mutex held, and must neither
// block nor use the transport's Lock.
type Device interface {
	// ID is the device's type (5).
	ID() uint32
	// Features are the feature bits of the device's own type that it offers.
	Features() uint64
	// Queues are the largest sizes of its queues, powers of two up to MaxQueue; 0: the queue doesn't exist.
	Queues() []uint16
	// ReadConfig and WriteConfig access the configuration space; size is 1, 2, 4 or 8. What isn't there reads zero.
	ReadConfig(off uint64, size int) uint64
	WriteConfig(off uint64, size int, v uint64)
	// Start is called when the driver is ready (DRIVER_OK), with the features that were agreed on.
	Start(features uint64, queues []Queue, mem *guestmem.Memory)
	// Stop is called before a reset: the device forgets what the driver gave it.
	Stop()
	// Notify is called when the driver says that a ready queue has buffers. An error means that the driver broke a rule.
	Notify(queue int) error
}

// Registers (4.2.2), by their offsets.
const (
	regMagic          = 0x000
	regVersion        = 0x004
	regDeviceID       = 0x008
	regVendorID       = 0x00C
	regDevFeatures    = 0x010
	regDevFeaturesSel = 0x014
	regDrvFeatures    = 0x020
	regDrvFeaturesSel = 0x024
	regQueueSel       = 0x030
	regQueueSizeMax   = 0x034
	regQueueSize      = 0x038
	regQueueReady     = 0x044
	regQueueNotify    = 0x050
	regIntStatus      = 0x060
	regIntACK         = 0x064
	regStatus         = 0x070
	regDescLow        = 0x080
	regDescHigh       = 0x084
	regDriverLow      = 0x090
	regDriverHigh     = 0x094
	regDeviceLow      = 0x0A0
	regDeviceHigh     = 0x0A4
	regSHMLenLow      = 0x0B0
	regSHMBaseHigh    = 0x0BC
	regGeneration     = 0x0FC
	regConfig         = 0x100

	// Size is how many bytes of address space the registers take.
	Size = 0x1000
)

const (
	magic    = 0x74726976 // "virt"
	version  = 2
	vendorID = 0x4C45454B // "KEEL"
)

// Bits of the status (2.1).
const (
	StatusAcknowledge = 1
	StatusDriver      = 2
	StatusDriverOK    = 4
	StatusFeaturesOK  = 8
	StatusNeedsReset  = 64
	StatusFailed      = 128
)

// Feature bits that belong to no device type (6).
const (
	FeatureIndirect = 1 << 28
	FeatureVersion1 = 1 << 32
)

// Bits of the interrupt status.
const (
	intUsed   = 1
	intConfig = 2
)

// An MMIO is the transport of one device (4.2): a device.MMIODevice of Size bytes.
type MMIO struct {
	mu   sync.Mutex
	dev  Device
	line device.Line
	mem  *guestmem.Memory

	status               uint32
	interrupts           uint32
	generation           uint32
	devSelect, drvSelect uint32
	driver               uint64 // features that the driver has accepted
	selected             uint32
	queues               []Queue
	failure              error // why the device needs a reset: the first, for the log
}

// NewMMIO returns the transport of d, which drives line.
func NewMMIO(d Device, line device.Line) *MMIO {
	m := &MMIO{dev: d, line: line, queues: make([]Queue, len(d.Queues()))}
	for i, most := range d.Queues() {
		m.queues[i].most = most
		m.queues[i].reset()
	}
	return m
}

// SetMemory gives the device its guest's memory, before the guest runs.
func (m *MMIO) SetMemory(mem *guestmem.Memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mem = mem
}

// Lock and Unlock are for what a device does of its own accord.
func (m *MMIO) Lock() { m.mu.Lock() }

// Unlock undoes Lock.
func (m *MMIO) Unlock() { m.mu.Unlock() }

// Failure is why the device needs a reset, or nil: the rule that the driver broke first.
func (m *MMIO) Failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failure
}

// Used tells the driver that something was pushed to q, if it wants to know. The mutex is held.
func (m *MMIO) Used(q *Queue) {
	if q.wantsInterrupt() {
		m.interrupt(intUsed)
	}
}

// ConfigChanged tells the driver that the configuration space has changed. The mutex is held.
func (m *MMIO) ConfigChanged() {
	m.generation++
	if m.status&StatusDriverOK != 0 {
		m.interrupt(intConfig)
	}
}

func (m *MMIO) interrupt(bits uint32) {
	m.interrupts |= bits
	m.line.Set(true)
}

// Fail stops the device until the driver resets it, for a rule that the driver broke (2.1.2). The mutex is held.
func (m *MMIO) Fail(err error) {
	if m.failure == nil {
		m.failure = err
	}
	m.status |= StatusNeedsReset
	if m.status&StatusDriverOK != 0 {
		m.interrupt(intConfig)
	}
}

func (m *MMIO) features() uint64 {
	return m.dev.Features()&^(FeatureIndirect|FeatureVersion1) | FeatureIndirect | FeatureVersion1
}

// Read is an access to a register: 32 bits at a multiple of 4, anything else reads zero (4.2.2.2), or to the
// configuration space.
func (m *MMIO) Read(addr uint64, size int) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if addr >= regConfig {
		if !configAccess(addr, size) {
			return 0
		}
		return m.dev.ReadConfig(addr-regConfig, size)
	}
	if size != 4 || addr%4 != 0 {
		return 0
	}
	return uint64(m.register(addr))
}

// configAccess says whether an access to the configuration space is as wide as a field can be and aligned.
func configAccess(addr uint64, size int) bool {
	return (size == 1 || size == 2 || size == 4 || size == 8) && addr%uint64(size) == 0
}

func (m *MMIO) register(addr uint64) uint32 {
	switch addr {
	case regMagic:
		return magic
	case regVersion:
		return version
	case regDeviceID:
		return m.dev.ID()
	case regVendorID:
		return vendorID
	case regDevFeatures:
		return half(m.features(), m.devSelect)
	case regQueueSizeMax:
		if q := m.queue(); q != nil {
			return uint32(q.most)
		}
	case regQueueReady:
		if q := m.queue(); q != nil && q.ready {
			return 1
		}
	case regIntStatus:
		return m.interrupts
	case regStatus:
		return m.status
	case regGeneration:
		return m.generation
	}
	if addr >= regSHMLenLow && addr <= regSHMBaseHigh {
		return ^uint32(0) // there is no shared memory region (4.2.2.1)
	}
	return 0
}

// half is the 32 bits of v that a selector names; there are two.
func half(v uint64, sel uint32) uint32 {
	switch sel {
	case 0:
		return uint32(v)
	case 1:
		return uint32(v >> 32)
	}
	return 0
}

// queue is the selected queue; nil if there is none.
func (m *MMIO) queue() *Queue {
	if m.selected >= uint32(len(m.queues)) || m.queues[m.selected].most == 0 {
		return nil
	}
	return &m.queues[m.selected]
}

// Write is an access to a register, as Read has them; anything else has no effect.
func (m *MMIO) Write(addr uint64, size int, v uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if addr >= regConfig {
		if configAccess(addr, size) && m.status&StatusDriver != 0 && m.status&StatusNeedsReset == 0 {
			m.dev.WriteConfig(addr-regConfig, size, v)
		}
		return
	}
	if size != 4 || addr%4 != 0 {
		return
	}
	m.setRegister(addr, uint32(v))
}

func (m *MMIO) setRegister(addr uint64, v uint32) {
	switch addr {
	case regDevFeaturesSel:
		m.devSelect = v
	case regDrvFeaturesSel:
		m.drvSelect = v
	case regDrvFeatures:
		if m.status&(StatusDriver|StatusFeaturesOK) == StatusDriver && m.drvSelect < 2 {
			shift := 32 * m.drvSelect
			m.driver = m.driver&^(0xFFFFFFFF<<shift) | uint64(v)<<shift
		}
	case regQueueSel:
		m.selected = v
	case regQueueNotify:
		m.notify(v)
	case regIntACK:
		m.interrupts &^= v
		m.line.Set(m.interrupts != 0)
	case regStatus:
		m.setStatus(v)
	default:
		m.setQueue(addr, v)
	}
}

// setQueue sets a register of the selected queue, which must not be ready for any but QueueReady itself (4.2.2.2).
func (m *MMIO) setQueue(addr uint64, v uint32) {
	q := m.queue()
	if q == nil || m.status&(StatusFeaturesOK|StatusNeedsReset) != StatusFeaturesOK {
		return
	}
	if addr == regQueueReady {
		switch {
		case v&1 == 0:
			q.ready = false
		case !q.ready:
			q.indirect = m.driver&FeatureIndirect != 0
			if err := q.enable(m.mem); err != nil {
				m.Fail(err)
			}
		}
		return
	}
	if q.ready {
		return
	}
	switch addr {
	case regQueueSize:
		q.size = uint16(min(v, MaxQueue+1)) // enable refuses what is too large
	case regDescLow:
		q.desc = low(q.desc, v)
	case regDescHigh:
		q.desc = high(q.desc, v)
	case regDriverLow:
		q.avail = low(q.avail, v)
	case regDriverHigh:
		q.avail = high(q.avail, v)
	case regDeviceLow:
		q.used = low(q.used, v)
	case regDeviceHigh:
		q.used = high(q.used, v)
	}
}

func low(old uint64, v uint32) uint64  { return old&^0xFFFFFFFF | uint64(v) }
func high(old uint64, v uint32) uint64 { return old&0xFFFFFFFF | uint64(v)<<32 }

// setStatus takes a step of the driver's initialisation (3.1.1); 0 is a reset.
func (m *MMIO) setStatus(v uint32) {
	if v == 0 {
		m.reset()
		return
	}
	v &= StatusAcknowledge | StatusDriver | StatusDriverOK | StatusFeaturesOK | StatusFailed
	v |= m.status // no bit can be cleared but by a reset
	if v&^m.status&StatusFeaturesOK != 0 && (m.driver&^m.features() != 0 || m.driver&FeatureVersion1 == 0) {
		v &^= StatusFeaturesOK // the driver looks whether it stays
	}
	if v&StatusFeaturesOK == 0 {
		v &^= StatusDriverOK
	}
	starts := v&^m.status&StatusDriverOK != 0
	m.status = v
	if starts && v&StatusNeedsReset == 0 {
		m.dev.Start(m.driver, m.queues, m.mem)
		m.Look() // Linux's balloon fills its queue for statistics, and says so, before it is ready: that was too early to be heard
	}
}

func (m *MMIO) reset() {
	m.dev.Stop()
	m.status, m.interrupts, m.driver, m.failure = 0, 0, 0, nil
	m.devSelect, m.drvSelect, m.selected = 0, 0, 0
	for i := range m.queues {
		m.queues[i].reset()
	}
	m.line.Set(false)
}

// Look has the device serve all of its queues. The mutex is held.
func (m *MMIO) Look() {
	for i := range m.queues {
		m.notify(uint32(i))
	}
}

func (m *MMIO) notify(i uint32) {
	if m.status&(StatusDriverOK|StatusNeedsReset) != StatusDriverOK || i >= uint32(len(m.queues)) || !m.queues[i].ready {
		return
	}
	if err := m.dev.Notify(int(i)); err != nil {
		m.Fail(err)
	}
}
