package balloon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"keel/vmkernel/device"
	"keel/vmkernel/device/virtio"
	"keel/vmkernel/vm/guestmem"
)

// PageSize is what the balloon counts in, whatever the guest's pages are (5.5.6).
const PageSize = 4096

// Feature bits (5.5.3).
const (
	featureMustTellHost = 1 << 0
	featureStats        = 1 << 1
	featureDeflateOnOOM = 1 << 2
	featureReporting    = 1 << 5
)

// Sizes of the queues, and bounds of one chain: so many page numbers, so many bytes of statistics.
const (
	queueSize = 32
	MaxPages  = 1024
	maxStats  = 64 * statSize
	statSize  = 10 // a tag of 2 bytes and a value of 8
)

// A Host takes pages back. It is called with the device's mutex held, must not block, and is given only ranges in the
// guest's RAM, in whole pages.
type Host interface {
	// Release says that the guest has no use for n bytes at gpa. They may be read as they were or as zeros afterwards.
	Release(gpa, n uint64)
	// Settle is the end of a chain: what was released meanwhile may be dealt with at once now, and has to be. It says whether
	// the device may go on: reading chains takes memory where the guest has given back the pages that they lie in, and
	// nobody may take more of it than he has. If it mayn't, it waits for GoOn.
	Settle() bool
	// Claim says that the guest is about to use n bytes at gpa that it released. They may be there already.
	Claim(gpa, n uint64)
}

// role is what a queue is for.
type role uint8

const (
	none role = iota
	inflate
	deflate
	stats
	reporting
)

// Stats is what the guest said last, in bytes unless named otherwise (5.5.6.4). Known has a bit for each tag that it gave.
type Stats struct {
	SwapIn, SwapOut        uint64
	MajorFaults, MinFaults uint64 // a count
	Free, Total, Available uint64
	Caches                 uint64
	Known                  uint32
	Serial                 uint64 // how often it said so
}

// Device is a balloon behind a transport. The zero Device is not ready: see New.
type Device struct {
	transport *virtio.MMIO
	host      Host

	// Below: the transport's mutex.
	target, actual uint32 // pages
	features       uint64
	queues         []virtio.Queue
	mem            *guestmem.Memory
	roles          [5]role

	stats     Stats
	statsHead uint16 // a buffer that the guest left for the next statistics
	statsHeld bool
	waits     bool // for GoOn

	released, reported uint64 // bytes in all, repeated ones included

	numbers [MaxPages]uint32
	raw     [4 * MaxPages]byte
}

// New returns a balloon, empty and to stay so, and its transport, which drives line.
func New(host Host, line device.Line) (*Device, *virtio.MMIO) {
	d := &Device{host: host}
	d.transport = virtio.NewMMIO(d, line)
	return d, d.transport
}

// SetTarget says how many pages the balloon is to hold. The guest is told if that changes.
func (d *Device) SetTarget(pages uint32) {
	d.transport.Lock()
	defer d.transport.Unlock()
	if d.target != pages {
		d.target = pages
		d.transport.ConfigChanged()
	}
}

// A State is how the balloon stands.
type State struct {
	Target, Actual     uint32 // pages: asked for, and what the guest says that it holds
	Running            bool   // a driver answers
	Released, Reported uint64 // bytes in all since power-on, those that came twice counted twice
	Stats              Stats
	Failure            error // the rule that the driver broke; nil: none
}

// State returns how the balloon stands.
func (d *Device) State() State {
	failure := d.transport.Failure()
	d.transport.Lock()
	defer d.transport.Unlock()
	return State{d.target, d.actual, d.queues != nil && failure == nil, d.released, d.reported, d.stats, failure}
}

// AskStats asks the guest for statistics, which come to State some time later, or never. It says whether the guest is
// waiting to be asked.
func (d *Device) AskStats() bool {
	d.transport.Lock()
	defer d.transport.Unlock()
	if !d.statsHeld {
		return false
	}
	q := d.queueOf(stats)
	if q == nil || !q.Ready() {
		return false
	}
	d.statsHeld = false
	if err := q.Push(d.statsHead, 0); err != nil {
		d.transport.Fail(err)
		return false
	}
	d.transport.Used(q)
	return true
}

func (d *Device) queueOf(r role) *virtio.Queue {
	for i := range d.queues {
		if d.roles[i] == r {
			return &d.queues[i]
		}
	}
	return nil
}

// ID is the type of a memory balloon (5).
func (d *Device) ID() uint32 { return 5 }

// Features are what it offers: the driver must tell before it uses a page again, may take pages when it has no others,
// gives statistics, and reports free pages.
func (d *Device) Features() uint64 {
	return featureMustTellHost | featureStats | featureDeflateOnOOM | featureReporting
}

// Queues are those of the specification (5.5.2) but for free page hints, number 3, which isn't offered. Linux before 6.11
// numbers only the queues that it uses, so that its reporting queue has the number of one that isn't there: each of the
// numbers from the first that may be missing serves for reporting then.
func (d *Device) Queues() []uint16 {
	return []uint16{queueSize, queueSize, queueSize, queueSize, queueSize}
}

// Start takes the queues of a driver that is ready.
func (d *Device) Start(features uint64, queues []virtio.Queue, mem *guestmem.Memory) {
	d.features, d.queues, d.mem = features, queues, mem
	d.roles = [5]role{inflate, deflate}
	at := 2
	if features&featureStats != 0 {
		d.roles[at] = stats
		at++
	}
	if features&featureReporting != 0 {
		for ; at < len(d.roles); at++ {
			d.roles[at] = reporting
		}
	}
}

// Stop forgets the driver. What it gave back stays given back until the guest touches it.
func (d *Device) Stop() {
	d.features, d.queues, d.mem = 0, nil, nil
	d.roles = [5]role{}
	d.actual, d.statsHeld, d.waits = 0, false, false
	d.stats = Stats{Serial: d.stats.Serial}
}

// Configuration space (5.5.4): num_pages and actual.
const (
	configTarget = 0
	configActual = 4
	configSize   = 8
)

// ReadConfig reads size bytes.
func (d *Device) ReadConfig(off uint64, size int) uint64 {
	if off >= configSize || uint64(size) > configSize-off {
		return 0
	}
	var space [2 * configSize]byte
	binary.LittleEndian.PutUint32(space[configTarget:], d.target)
	binary.LittleEndian.PutUint32(space[configActual:], d.actual)
	v := binary.LittleEndian.Uint64(space[off:])
	if size < 8 {
		v &= 1<<(8*size) - 1
	}
	return v
}

// WriteConfig takes actual, the only field for the driver to write, as a whole.
func (d *Device) WriteConfig(off uint64, size int, v uint64) {
	if off == configActual && size == 4 {
		d.actual = uint32(v)
	}
}

// Notify serves a queue: what is in it now. A driver notifies for whatever it adds later.
func (d *Device) Notify(queue int) error {
	if queue >= len(d.roles) || queue >= len(d.queues) || d.roles[queue] == none {
		return nil
	}
	q := &d.queues[queue]
	pending, err := q.Pending()
	if err != nil || pending == 0 {
		return err
	}
	if d.waits = !d.host.Settle(); d.waits {
		return nil
	}
	used := false
	for ; pending > 0 && !d.waits; pending-- {
		head, chain, err := q.Pop()
		if err != nil {
			return err
		}
		switch d.roles[queue] {
		case inflate, deflate:
			err = d.pages(chain, d.roles[queue] == inflate)
		case reporting:
			err = d.report(chain)
		case stats:
			if err = d.takeStats(q, head, chain); err != nil {
				return err
			}
			continue
		}
		d.waits = !d.host.Settle() // even what stood before an error
		if err == nil {
			err = q.Push(head, 0)
		}
		if err != nil {
			return err
		}
		used = true
	}
	if used {
		d.transport.Used(q)
	}
	return nil
}

// GoOn serves what was left in the queues when the Host said that the device mayn't go on.
func (d *Device) GoOn() {
	d.transport.Lock()
	defer d.transport.Unlock()
	if d.waits {
		d.waits = false
		d.transport.Look()
	}
}

// read copies what a chain has for the device to read, at most len(into) bytes.
func (d *Device) read(chain []virtio.Buffer, into []byte) ([]byte, error) {
	n := 0
	for _, b := range chain {
		if b.Write {
			return nil, errors.New("balloon: a buffer to write where there is nothing to write")
		}
		if uint64(b.Len) > uint64(len(into)-n) {
			return nil, fmt.Errorf("balloon: more than %d bytes in a chain", len(into))
		}
		if err := d.mem.ReadAt(into[n:n+int(b.Len)], b.Addr); err != nil {
			return nil, err
		}
		n += int(b.Len)
	}
	return into[:n], nil
}

// pages takes the page numbers of a chain into the balloon or out of it (5.5.6.2).
func (d *Device) pages(chain []virtio.Buffer, in bool) error {
	raw, err := d.read(chain, d.raw[:])
	if err != nil {
		return err
	}
	if len(raw)%4 != 0 {
		return fmt.Errorf("balloon: %d bytes are no page numbers", len(raw))
	}
	list := d.numbers[:len(raw)/4]
	for i := range list {
		list[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	slices.Sort(list) // guests give them in any order: ranges are worth more to the host
	for i := 0; i < len(list); {
		first, n := uint64(list[i]), uint64(0)
		for ; i < len(list) && uint64(list[i]) <= first+n; i++ {
			n = uint64(list[i]) - first + 1 // one that comes twice is one
		}
		if err := d.move(first*PageSize, n*PageSize, in); err != nil {
			return err
		}
	}
	return nil
}

// move gives a range to the host, or takes it, if it is RAM.
func (d *Device) move(gpa, n uint64, in bool) error {
	if n == 0 {
		return nil
	}
	if _, err := d.mem.Slice(gpa, n); err != nil {
		return err
	}
	if !in {
		d.host.Claim(gpa, n)
		return nil
	}
	d.released += n
	d.host.Release(gpa, n)
	return nil
}

// report gives the host the free pages of a chain (5.5.6.7): its buffers are the pages themselves.
func (d *Device) report(chain []virtio.Buffer) error {
	for _, b := range chain {
		if !b.Write {
			return errors.New("balloon: reported pages that the device must not write")
		}
		// RAM is checked before the range is cut to whole pages, so that it can't wrap.
		if _, err := d.mem.Slice(b.Addr, uint64(b.Len)); err != nil {
			return err
		}
		first := (b.Addr + PageSize - 1) &^ (PageSize - 1)
		end := (b.Addr + uint64(b.Len)) &^ (PageSize - 1)
		if first >= end {
			continue
		}
		d.reported += end - first
		if err := d.move(first, end-first, true); err != nil {
			return err
		}
	}
	return nil
}

// takeStats reads statistics and keeps the buffer for the next time (5.5.6.3).
func (d *Device) takeStats(q *virtio.Queue, head uint16, chain []virtio.Buffer) error {
	raw, err := d.read(chain, d.raw[:maxStats])
	if err != nil {
		return err
	}
	if d.statsHeld {
		return errors.New("balloon: a second buffer for statistics")
	}
	s := Stats{Serial: d.stats.Serial + 1}
	for ; len(raw) >= statSize; raw = raw[statSize:] {
		s.set(binary.LittleEndian.Uint16(raw), binary.LittleEndian.Uint64(raw[2:]))
	}
	d.stats = s
	d.statsHead, d.statsHeld = head, true
	return nil
}

// set takes a value by its tag (5.5.6.4); unknown ones are left out.
func (s *Stats) set(tag uint16, v uint64) {
	fields := [...]*uint64{&s.SwapIn, &s.SwapOut, &s.MajorFaults, &s.MinFaults, &s.Free, &s.Total, &s.Available, &s.Caches}
	if int(tag) < len(fields) {
		*fields[tag] = v
		s.Known |= 1 << tag
	}
}
