package seed

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Decoder turns Nodes into a Host and VMs, and is the only place that says which keys there are, what they may hold
// and what their absence means. One Decoder serves one seed: it remembers names and ids to refuse the second of a kind,
// and the host's pools, so that Host comes before the VMs where there is one.
type Decoder struct {
	// Size reads a size in bytes. The default is a plain number.
	Size func(n *Node) (uint64, error)
	// Percent reads thousandths of a processor. The default is a plain number.
	Percent func(n *Node) (uint64, error)
	// Text returns the certificate that n is or names. The default is n's own text.
	Text func(n *Node) (string, error)
	// File finds the file that n names and returns its name in the archive and its size in bytes.
	File func(n *Node) (name string, size int64, err error)
	// Pools are the host's, for VMs that name one. Host sets them.
	Pools []Pool

	// AnyPool takes a VM's pool whatever it is, where the host's pools are not known.
	AnyPool bool

	taken       map[string]string // "name demo" → where it was first given
	poolsUnsure bool              // something is wrong with them: that a VM's pool isn't there says nothing
	problems    Problems
}

// Host decodes a host's section. With any problem the result is of no use.
func (d *Decoder) Host(n *Node) (Host, Problems) {
	d.problems = nil
	o := d.object(n).in("host")
	h := DefaultHost()
	if name := o.get("name"); name != nil {
		h.Name = d.name(name)
	}
	h.WhenIdle = WhenIdle(o.choice("whenIdle", string(IdleStay), string(IdlePowerOff)))
	h.OnPanic = OnPanic(o.choice("onPanic", string(PanicRestart), string(PanicHalt)))

	log := o.group("log")
	if level := log.get("level"); level != nil {
		h.Log.Level = d.oneOf(level, "debug", "info", "warn", "error")
	}
	log.done()

	h.Management = d.management(o)

	h.Trust = d.trust(o)

	h.Audit = d.audit(o)

	h.Pools = d.readPools(o.list("pools", MaxPools))
	o.done()
	return h, d.problems
}

// DefaultHost is what a seed without a host's section gives.
func DefaultHost() Host {
	return Host{
		Name:     "keel",
		WhenIdle: IdleStay,
		OnPanic:  PanicRestart,
		Log:      HostLog{Level: "info"},
	}
}

// VM decodes a virtual machine. With any problem only its Name is of use, and empty if it is what is wrong.
func (d *Decoder) VM(n *Node) (VM, Problems) {
	d.problems = nil
	o := d.object(n).in("vm")
	var vm VM
	if name := o.require("name", "a name that no other VM has"); name != nil {
		vm.Name = d.unique("name", d.name(name), name)
	}
	if id := o.require("id", "a UUID that no other VM has"); id != nil {
		vm.ID = d.unique("id", d.uuid(id), id)
	}
	vm.Machine = o.choice("machine", Machine)
	vm.CPU = d.cpu(o.group("cpu").in("vm.cpu"))

	memory := o.group("memory").in("vm.memory")
	size := memory.require("size", "the VM's memory")
	vm.Memory = d.memory(memory, size)

	var files uint64
	vm.Boot, files = d.boot(o.group("boot"))
	switch most, limit := vm.Memory.Size, vm.Memory.Limit; {
	case most != 0 && files > most:
		d.fail(size, "%s is too little for the files that it starts with, %s", FormatSize(most), FormatSize(files))
	case limit != 0 && files > limit:
		d.fail(memory.get("limit"), "%s is too little for the files that it starts with, %s", FormatSize(limit), FormatSize(files))
	}
	vm.Serial = d.serial(o.list("serial", 4))

	auto := o.group("autostart")
	vm.Autostart = Autostart{
		Enabled: auto.boolean("enabled", true),
		Order:   int(auto.integer("order", 0, 0, MaxOrder)),
		Delay:   auto.duration("delay", 0),
	}
	auto.done()

	vm.OnPowerOff = o.action("onPowerOff", Stop, Restart, Delete)
	vm.OnReboot = o.action("onReboot", Restart, Stop, Delete)
	vm.OnCrash = o.action("onCrash", Stop, Restart, Delete)
	vm.StopTimeout = o.duration("stopTimeout", 30*time.Second)
	vm.Labels = d.labels(o.get("labels"))

	debug := o.group("debug")
	vm.Debug.ExitPort = uint16(debug.integer("exitPort", 0, 1, 0xffff))
	debug.done()

	o.done()
	return vm, d.problems
}

func (d *Decoder) cpu(o *object) CPU {
	c := CPU{
		Count: int(o.integer("count", 1, 1, MaxCPUs)),
		Model: o.choice("model", CPUModel),
	}
	r := d.processors(MaxCPUs * Processor)
	c.Share = o.share(r, uint64(c.Count)*SharesPerCPU)
	c.Affinity = o.affinity()
	c.Exclusive = o.boolean("exclusive", false)
	usable := uint64(c.Count)
	why := count(c.Count, "processor")
	if n := len(c.Affinity); n > 0 && n < c.Count {
		usable = uint64(n)
		why = count(n, "processor") + " of its affinity"
	}
	if c.Reservation > usable*Processor {
		d.fail(o.get("reservation"), "%s is more than its %s can use, %s", r.format(c.Reservation), why, r.format(usable*Processor))
	}
	if own := max(len(c.Affinity), int(usable)) * Processor; c.Exclusive && c.Limit != 0 && c.Limit < uint64(own) {
		d.fail(o.get("limit"), "%s is below the %s of the processors that it has for itself: raise it or leave exclusive out", r.format(c.Limit),
			r.format(uint64(own)))
	}
	c.Pool = o.pool(r, cpuOf, c.Reservation)
	o.done()
	return c
}

func (d *Decoder) memory(o *object, size *Node) Memory {
	m := Memory{Size: d.memorySize(size)}
	r := d.bytes(MaxMemory)
	m.Share = o.share(r, max(m.Size>>20*SharesPerMiB, 1))
	if m.Size != 0 && m.Reservation > m.Size {
		d.fail(o.get("reservation"), "%s is more than the VM's memory, %s", r.format(m.Reservation), r.format(m.Size))
	}
	m.Pool = o.pool(r, memoryOf, m.Reservation)
	o.done()
	return m
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// boot returns the boot section and the size of its files together.
func (d *Decoder) boot(o *object) (b Boot, files uint64) {
	b.Firmware = "direct"
	firmware := o.get("firmware")
	if s, ok := d.text(firmware); ok && s != b.Firmware {
		d.fail(firmware, "%s is not in this version of Keel: give direct", quote(s))
	}
	file := func(n *Node) string {
		name, size := d.file(n)
		files += uint64(size) // at most 2+MaxModules times MaxFile: it can't wrap
		return name
	}
	direct := o.group("direct")
	b.Direct.Kernel = file(direct.require("kernel", "the kernel's file"))
	b.Direct.Initrd = file(direct.get("initrd"))
	b.Direct.Cmdline = d.cmdline(direct.get("cmdline"))
	for _, n := range direct.list("modules", MaxModules) {
		module := d.object(n)
		b.Direct.Modules = append(b.Direct.Modules, Module{
			File:    file(module.require("file", "the module's file")),
			Cmdline: d.cmdline(module.get("cmdline")),
		})
		module.done()
	}
	direct.done()
	o.done()
	return b, files
}

func (d *Decoder) serial(list []*Node) (ports []Serial) {
	names := map[string]bool{}
	for _, n := range list {
		o := d.object(n)
		port := Serial{Log: SerialLog(o.choice("log", string(LogNone), string(LogHost)))}
		if name := o.require("name", "ttyS0, ttyS1, ttyS2 or ttyS3"); name != nil {
			port.Name = d.oneOf(name, "ttyS0", "ttyS1", "ttyS2", "ttyS3")
			if names[port.Name] {
				d.fail(name, "%s is there twice", brief(name))
			}
			names[port.Name] = true
		}
		ports = append(ports, port)
		o.done()
	}
	return ports
}

// action reads what follows an event; the first is the default.
func (o *object) action(key string, allowed ...Action) Action {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return Action(o.choice(key, names...))
}

func (d *Decoder) labels(n *Node) map[string]string {
	if n == nil {
		return nil
	}
	if n.Kind != Object {
		d.wrongKind(n, Object)
		return nil
	}
	if len(n.Keys) > MaxLabels {
		d.fail(n, "has %d labels; at most %d are possible", len(n.Keys), MaxLabels)
		return nil
	}
	labels := map[string]string{}
	for i, key := range n.Keys {
		value, ok := d.text(n.Items[i])
		switch {
		case !plain(key):
			d.fail(n.Items[i], "a label's name has 1 to 64 letters, digits and -_./")
		case ok && (len(value) > 255 || !printable(value)):
			d.fail(n.Items[i], "%s: a label's value has at most 255 bytes and no unprintable characters", quote(value))
		}
		labels[key] = value
	}
	return labels
}

// name reads the name of a host or a VM; it returns "" for what is none.
func (d *Decoder) name(n *Node) string {
	s, ok := d.text(n)
	if !ok {
		return ""
	}
	good := 1 <= len(s) && len(s) <= MaxName
	for _, c := range []byte(s) {
		good = good && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-')
	}
	if !good {
		d.fail(n, "%s is not a name; it has 1 to 63 of a-z, 0-9 and -", quote(s))
		return ""
	}
	return s
}

// uuid reads a UUID in its text form (RFC 9562, section 4) and returns it in lower case, or "" for what is none.
func (d *Decoder) uuid(n *Node) string {
	s, ok := d.text(n)
	if !ok {
		return ""
	}
	s = strings.ToLower(s)
	good, zero := len(s) == 36, true
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			good = good && c == '-'
		default:
			good = good && ('0' <= c && c <= '9' || 'a' <= c && c <= 'f')
			zero = zero && c == '0'
		}
	}
	if !good || zero {
		d.fail(n, "%s is not a UUID; one has the form 01234567-89ab-4def-8123-456789abcdef and is not all zeros", quote(n.Text))
		return ""
	}
	return s
}

// unique refuses the second VM with a name or an id. The first keeps it, even if it is refused for something else.
func (d *Decoder) unique(what, value string, n *Node) string {
	if value == "" {
		return ""
	}
	key := what + " " + value
	if first, taken := d.taken[key]; taken {
		d.fail(n, "%s is taken by another VM (%s)", quote(value), first)
		return value
	}
	if d.taken == nil {
		d.taken = map[string]string{}
	}
	d.taken[key] = n.place()
	return value
}

// memorySize reads a VM's memory size; it returns 0 for what can't be one.
func (d *Decoder) memorySize(n *Node) uint64 {
	if n == nil {
		return 0
	}
	size, err := d.size()(n)
	switch {
	case err != nil:
		d.fail(n, "%s", err)
	case size < MinMemory:
		d.fail(n, "%s is below the minimum of %s", FormatSize(size), FormatSize(MinMemory))
	case size > MaxMemory:
		d.fail(n, "%s is above the maximum of %s", given(n, size, FormatSize), FormatSize(MaxMemory))
	case size%MemoryUnit != 0:
		d.fail(n, "%s is not a multiple of %s", FormatSize(size), FormatSize(MemoryUnit))
	default:
		return size
	}
	return 0
}

func (d *Decoder) size() func(*Node) (uint64, error) {
	if d.Size == nil {
		return byteSize
	}
	return d.Size
}

// file finds the file that n names, if n is there.
func (d *Decoder) file(n *Node) (string, int64) {
	if _, ok := d.text(n); !ok {
		return "", 0
	}
	name, size, err := d.File(n)
	if err == nil && (size < 0 || size > MaxFile) {
		err = fmt.Errorf("%s has %d bytes; at most %d are possible", quote(n.Text), size, int64(MaxFile))
	}
	if err != nil {
		d.fail(n, "%s", err)
		return "", 0
	}
	return name, size
}

func (d *Decoder) cmdline(n *Node) string {
	s, ok := d.text(n)
	switch {
	case !ok:
		return ""
	case len(s) > MaxCmdline:
		d.fail(n, "is %d bytes long; at most %d are possible", len(s), MaxCmdline)
	case !printable(s):
		d.fail(n, "%s has unprintable characters", quote(s))
	}
	return s
}

// printable reports whether s can be shown on a terminal as it is. It is false for a terminal's 8-bit controls as well.
func printable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
