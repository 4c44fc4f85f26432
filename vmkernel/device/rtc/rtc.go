package rtc

import (
	"sync"
	"time"

	"keel/vmkernel/device"
)

const (
	// First is the index register's port; the data register is the next.
	First = 0x70
	// Ports is how many ports the clock takes.
	Ports = 2
	// Century is the register that holds the century, for the FADT's CENTURY
	// field.
	Century = regCentury
	// MinTick is the shortest time for which the device sets its Timer:
	// periodic interrupts come no faster than 1,024 Hz.
	MinTick = time.Second / 1024
)

// Registers.
const (
	regSecond      = 0x00
	regSecondAlarm = 0x01
	regMinute      = 0x02
	regMinuteAlarm = 0x03
	regHour        = 0x04
	regHourAlarm   = 0x05
	regWeekday     = 0x06 // 1 is Sunday
	regDay         = 0x07
	regMonth       = 0x08
	regYear        = 0x09
	regA           = 0x0a
	regB           = 0x0b
	regC           = 0x0c
	regD           = 0x0d
	regCentury     = 0x32
)

// Register A.
const (
	aUIP      = 1 << 7 // update in progress
	aDivider  = 7 << 4
	aDivReset = 6 << 4 // 110 and 111 hold the divider chain in reset
	aDiv32768 = 2 << 4
	aRate     = 0x0f
)

// Register B.
const (
	bSet    = 1 << 7 // updates are held off
	bPIE    = 1 << 6
	bAIE    = 1 << 5
	bUIE    = 1 << 4
	bBinary = 1 << 2
	b24Hour = 1 << 1
)

// Register C: the flags of register B's enable bits, in the same places.
const (
	cIRQ      = 1 << 7
	cPeriodic = bPIE
	cAlarm    = bAIE
	cUpdate   = bUIE
	cFlags    = cPeriodic | cAlarm | cUpdate
)

const dValid = 1 << 7 // register D: RAM and time are valid

// updateWarning is how long before each update UIP reads 1, in nanoseconds
// (t BUC in the data sheet). The update itself takes no time.
const updateWarning = 244_000

const second = int64(time.Second)

// A Timer calls the RTC's Tick once after d, forgetting what was set before;
// negative d only cancels. Set is called with the device's mutex held and
// must not call Tick itself. A call of Tick too many or too early is harmless.
type Timer interface {
	Set(d time.Duration)
}

// An RTC is a device.PortDevice of 2 ports.
type RTC struct {
	clock func() time.Time

	mu    sync.Mutex
	irq   device.Line
	timer Timer
	index uint8
	// ram holds all registers as the guest wrote them. Those of the date
	// count only while the clock is stopped, register C only its flags.
	ram   [128]uint8
	level bool
	armed bool

	offset instant // the guest's time minus the host's
	seen   instant // until when the flags of register C are worked out
}

// An instant is a time in seconds since 1970 UTC and nanoseconds, 0 to
// 999,999,999.
type instant struct {
	sec, ns int64
}

// New returns a clock that shows the date of clock, in UTC; BCD and 24 hours,
// as firmware leaves it. A nil irq (IRQ 8) is not connected; without a timer
// the flags are right whenever the guest reads them, but nothing interrupts.
func New(clock func() time.Time, irq device.Line, timer Timer) *RTC {
	if irq == nil {
		irq = device.Unconnected{}
	}
	r := &RTC{clock: clock, irq: irq, timer: timer}
	r.ram[regA] = aDiv32768 | 6
	r.ram[regB] = b24Hour
	r.seen = r.now()
	return r
}

// In reads the register that the index selects; the index itself is
// write-only.
func (r *RTC) In(port uint16, size int) uint32 {
	if size != 1 {
		return device.SplitIn(r, port, size)
	}
	if port != 1 {
		return 0xff
	}
	r.mu.Lock()
	v := r.read(r.index)
	r.mu.Unlock()
	return uint32(v)
}

// Out writes the index, whose bit 7 (the NMI mask) is ignored, or the register
// that it selects.
func (r *RTC) Out(port uint16, size int, v uint32) {
	if size != 1 {
		device.SplitOut(r, port, size, v)
		return
	}
	r.mu.Lock()
	if port == 0 {
		r.index = uint8(v) & 0x7f
	} else {
		r.write(r.index, uint8(v))
	}
	r.mu.Unlock()
}

// Tick brings the interrupt up to date; the Timer calls it.
func (r *RTC) Tick() {
	r.mu.Lock()
	r.catchUp()
	r.update()
	r.mu.Unlock()
}

func (r *RTC) read(reg uint8) uint8 {
	switch {
	case reg == regA:
		v := r.ram[regA]
		if !r.stopped() && r.now().ns >= second-updateWarning {
			v |= aUIP
		}
		return v
	case reg == regC:
		r.catchUp()
		v := r.ram[regC]
		if v&r.ram[regB]&cFlags != 0 {
			v |= cIRQ
		}
		r.ram[regC] = 0
		r.update()
		return v
	case reg == regD:
		return dValid
	case isDate(reg) && !r.stopped():
		return r.encode(reg, r.now().sec)
	}
	return r.ram[reg&0x7f]
}

func (r *RTC) write(reg, v uint8) {
	switch {
	case reg == regA || reg == regB:
		r.control(reg, v)
	case reg == regC || reg == regD:
		// read-only
	case isDate(reg) && !r.stopped():
		r.catchUp()
		r.hold()
		r.ram[reg] = v
		r.set(instant{r.decode(), r.now().ns})
		r.update()
	case isAlarm(reg):
		r.catchUp()
		r.ram[reg] = v
		r.update()
	default:
		r.ram[reg&0x7f] = v
	}
}

// control writes register A or B, either of which can stop the clock or start
// it from what the date registers hold.
func (r *RTC) control(reg, v uint8) {
	r.catchUp()
	wasStopped, wasReset := r.stopped(), r.dividerReset()
	ns := r.now().ns
	if reg == regA {
		v &^= aUIP
	} else if v&bSet != 0 {
		v &^= bUIE // as the data sheet has it
	}
	if !wasStopped {
		r.hold()
	}
	r.ram[reg] = v
	switch {
	case wasReset && !r.dividerReset():
		// The first update comes half a second after the divider starts.
		r.set(instant{r.decode(), second / 2})
	case wasStopped && !r.stopped():
		r.set(instant{r.decode(), ns})
	}
	r.update()
}

// catchUp sets the flags of what happened since the last time.
func (r *RTC) catchUp() {
	was, now := r.seen, r.now()
	r.seen = now
	if r.dividerReset() || now.sec < was.sec {
		return // stopped, or the host's clock was set back
	}
	if hz := r.rate(); hz > 0 && (now.sec > was.sec || now.ns*hz/second > was.ns*hz/second) {
		r.ram[regC] |= cPeriodic
	}
	if r.stopped() || now.sec == was.sec {
		return
	}
	r.ram[regC] |= cUpdate
	if wait := r.alarm().after(was.sec); wait > 0 && wait <= now.sec-was.sec {
		r.ram[regC] |= cAlarm
	}
}

// update sets the interrupt line to what the flags say and the timer to the
// next event that could change it.
func (r *RTC) update() {
	level := r.ram[regC]&r.ram[regB]&cFlags != 0
	if level != r.level {
		r.level = level
		r.irq.Set(level)
	}
	if r.timer == nil {
		return
	}
	switch wait := r.nextEvent(); {
	case !level && wait > 0:
		r.armed = true
		r.timer.Set(max(wait, MinTick))
	case r.armed:
		r.armed = false
		r.timer.Set(-1)
	}
}

// nextEvent returns how long it is until an enabled interrupt, 0 for never.
func (r *RTC) nextEvent() time.Duration {
	b := r.ram[regB]
	if b&cFlags == 0 || r.dividerReset() {
		return 0
	}
	now := r.seen
	next := int64(0)
	sooner := func(wait int64) {
		if next == 0 || wait < next {
			next = wait
		}
	}
	if hz := r.rate(); b&bPIE != 0 && hz > 0 {
		sooner(((now.ns*hz/second+1)*second+hz-1)/hz - now.ns) // rounded up
	}
	if b&bUIE != 0 && !r.stopped() {
		sooner(second - now.ns)
	}
	if b&bAIE != 0 && !r.stopped() {
		if wait := r.alarm().after(now.sec); wait > 0 {
			sooner(wait*second - now.ns)
		}
	}
	return time.Duration(next)
}

// rate returns the periodic rate in Hz, 0 for none (data sheet, table 5).
func (r *RTC) rate() int64 {
	switch rs := r.ram[regA] & aRate; rs {
	case 0:
		return 0
	case 1, 2:
		return 512 >> rs
	default:
		return 65536 >> rs
	}
}

func (r *RTC) dividerReset() bool { return r.ram[regA]&aDivReset == aDivReset }

// stopped reports whether the date stands still and its registers count.
func (r *RTC) stopped() bool { return r.ram[regB]&bSet != 0 || r.dividerReset() }

func (r *RTC) now() instant {
	t := r.clock()
	n := instant{t.Unix() + r.offset.sec, int64(t.Nanosecond()) + r.offset.ns}
	if n.ns >= second {
		n.sec++
		n.ns -= second
	}
	return n
}

// set makes it n in the guest; no flag is raised by that.
func (r *RTC) set(n instant) {
	t := r.clock()
	r.offset = instant{n.sec - t.Unix(), n.ns - int64(t.Nanosecond())}
	if r.offset.ns < 0 {
		r.offset.sec--
		r.offset.ns += second
	}
	r.seen = n
}
