package status

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is the one word for how the host is.
type State string

const (
	Starting  State = "STARTING"
	Ready     State = "READY"
	Unclaimed State = "UNCLAIMED" // nobody may manage it yet
	Recovery  State = "RECOVERY"  // started to let a new administrator in
	Safe      State = "SAFE"      // started without VMs
	Offline   State = "OFFLINE"   // the network doesn't reach it
	Stopping  State = "STOPPING"
)

func (s State) colour() colour {
	switch s {
	case Ready:
		return bright | onGreen
	case Starting, Unclaimed:
		return bright | onBrown
	case Recovery, Safe, Stopping:
		return bright | onMagenta
	}
	return bright | onRed
}

// Info is what the page says.
type Info struct {
	State         State
	Name, Version string

	Maker, Product, Serial string // of the machine; "": the firmware doesn't say
	CPUs                   int
	Virt                   string
	Memory, Free           uint64 // bytes

	Running, Defined int // VMs

	Addresses []string // where the door is, as one gives them to keelctl
	Key       string   // fingerprint of the host's
	CAs       []CA
	CAEnd     string // of the one that ends first, once that is near; "": it isn't
	Lockdown  bool
	NICs      []NIC

	Clock        string // where the time is from
	Now          time.Time
	DMAProtected bool
	Seed         string   // which was used; "": none
	NotUsed      []string // why not another
	LastError    string

	Claim      string // the code, while a claim is open
	ClaimUntil time.Time
}

// CA is an authority that the host trusts.
type CA struct{ Name, Fingerprint string }

// NIC is one of the machine's network interfaces.
type NIC struct {
	Where, Driver, MAC, Link, Address string // Where as 00:03.0; Driver "": there is none
	Management                        bool
}

// Columns where labels and values begin.
const (
	labelAt = 1
	valueAt = 13
	valueTo = Columns - 1
)

// Most lines that lists take; what is more is counted.
const (
	maxCAs   = 3
	maxNICs  = 5
	maxSeeds = 2
)

// A line is a row: a label, and a value that may have something at its right end.
type line struct {
	label       string
	value       string
	colour      colour
	right       string
	rightColour colour
}

// lines are what stands between header and footer, in groups.
type lines struct{ groups [][]line }

func (l *lines) group() { l.groups = append(l.groups, nil) }

// add adds a line to the last group.
func (l *lines) add(label string, c colour, format string, args ...any) *line {
	g := &l.groups[len(l.groups)-1]
	*g = append(*g, line{label: label, value: fmt.Sprintf(format, args...), colour: c})
	return &(*g)[len(*g)-1]
}

// Render draws the page.
func Render(i *Info) *Page {
	p := &Page{}
	for y := range Rows {
		p.fill(y, grey)
	}
	p.header(i)
	var l lines
	for _, add := range []func(*Info){l.machine, l.door, l.network, l.rest} {
		l.group()
		add(i)
	}
	end := Rows - 1
	if i.Claim != "" {
		end -= claimRows
	}
	p.body(l.groups, 2, end)
	p.footer(i)
	return p
}

// body draws groups into the rows from y up to end, apart from each other where there is room.
func (p *Page) body(groups [][]line, y, end int) {
	n := len(groups) - 1
	for _, g := range groups {
		n += len(g)
	}
	apart := min(max(len(groups)-1-(n-(end-y)), 0), len(groups)-1)
	for i, g := range groups {
		for _, l := range g {
			if y == end {
				return
			}
			p.put(labelAt, y, valueAt-labelAt-1, dim, l.label)
			right := clip(l.right, valueTo-valueAt)
			p.put(valueAt, y, valueTo-valueAt-len(right)-min(len(right), 2), l.colour, l.value)
			p.put(valueTo-len(right), y, len(right), l.rightColour, right)
			y++
		}
		if i >= len(groups)-1-apart {
			y++
		}
	}
}

func (p *Page) header(i *Info) {
	p.fill(0, bright|onBlue)
	state := " " + string(i.State) + " "
	version := "Keel " + i.Version
	p.put(0, 0, Columns, i.State.colour(), state)
	at := len(state) + 1
	room := Columns - at - 2
	version = clip(version, max(room/2, room-len(i.Name)-1)) // the version of what isn't a release has the commit at its end
	p.put(at, 0, room-len(version), bright|onBlue, i.Name)
	p.put(Columns-1-len(version), 0, len(version), bright|onBlue, version)
}

func (l *lines) machine(i *Info) {
	m := l.add("Machine", grey, "%s", orText(strings.TrimSpace(i.Maker+" "+i.Product), "not named by its firmware"))
	if i.Serial != "" {
		m.right, m.rightColour = "serial number "+clip(i.Serial, 32), grey
	}
	c := l.add("Processors", grey, "%d, %s; memory %s, %s free", i.CPUs, virtName(i.Virt), size(i.Memory), size(i.Free))
	if c.right, c.rightColour = "DMA protection: off", yellow; i.DMAProtected {
		c.right, c.rightColour = "DMA protection: on", green
	}
	l.add("VMs", bright, "%d running of %d", i.Running, i.Defined)
}

func virtName(v string) string {
	switch v {
	case "vt-x":
		return "VT-x"
	case "amd-v":
		return "AMD-V"
	}
	return "no virtualisation"
}

// size writes bytes as people read them.
func size(n uint64) string {
	const gib, mib = 1 << 30, 1 << 20
	if n >= gib {
		return fmt.Sprintf("%.1f GiB", float64(n)/gib)
	}
	return fmt.Sprintf("%d MiB", n/mib)
}

func (l *lines) door(i *Info) {
	switch {
	case len(i.Addresses) > 0:
		l.add("Address", bright, "%s", strings.Join(i.Addresses, "  "))
	default:
		l.add("Address", red, "none: the host can't be reached")
	}
	l.add("Host key", bright, "%s", orText(i.Key, "none yet"))
	if len(i.CAs) == 0 {
		l.add("Trusts", yellow, "nobody: no authority has been given")
	}
	for n, ca := range i.CAs {
		label := ""
		if n == 0 {
			label = "Trusts"
		}
		if n == maxCAs-1 && len(i.CAs) > maxCAs {
			l.add(label, grey, "and %d more", len(i.CAs)-n)
			break
		}
		room := valueTo - valueAt - len(ca.Fingerprint) - 2
		l.add(label, grey, "%s  %s", ca.Fingerprint, clip(ca.Name, max(room, 8)))
	}
	if i.CAEnd != "" {
		l.add("", yellow, "%s: give the host another", i.CAEnd)
	}
	if i.Lockdown {
		l.add("", yellow, "lockdown: only Recover access lets a new administrator in")
	}
}

func (l *lines) network(i *Info) {
	if len(i.NICs) == 0 {
		l.add("Network", red, "the machine has no network card")
	}
	// The one that the host is reached by comes first.
	nics := slices.Clone(i.NICs)
	slices.SortStableFunc(nics, func(a, b NIC) int {
		switch {
		case a.Management == b.Management:
			return 0
		case a.Management:
			return -1
		}
		return 1
	})
	for n, nic := range nics {
		label := ""
		if n == 0 {
			label = "Network"
		}
		if n == maxNICs-1 && len(i.NICs) > maxNICs {
			l.add(label, grey, "and %d more", len(i.NICs)-n)
			break
		}
		c := grey
		driver := nic.Driver
		switch {
		case driver == "":
			c, driver = yellow, "no driver"
		case nic.Management:
			c = bright
		}
		l.add(label, c, "%-7s %-10s %-17s %-10s %s", clip(nic.Where, 7), clip(driver, 10), clip(nic.MAC, 17), clip(nic.Link, 10), nic.Address)
	}
}

func (l *lines) rest(i *Info) {
	now := ""
	if !i.Now.IsZero() {
		now = i.Now.UTC().Format("2006-01-02 15:04 UTC") + ", "
	}
	l.add("Clock", grey, "%s%s", now, orText(i.Clock, "not set"))
	if i.Seed == "" {
		l.add("Seed", yellow, "none")
	} else {
		l.add("Seed", grey, "%s", i.Seed)
	}
	for n, why := range i.NotUsed {
		if n == maxSeeds-1 && len(i.NotUsed) > maxSeeds {
			l.add("", yellow, "and %d more", len(i.NotUsed)-n)
			break
		}
		l.add("", yellow, "%s", why)
	}
	if i.LastError == "" {
		l.add("Last error", grey, "none")
	} else {
		l.add("Last error", red, "%s", i.LastError)
	}
}

// claimRows is how many rows an open claim takes, above the footer.
const claimRows = 2

// footer is the last row, and the claim.
func (p *Page) footer(i *Info) {
	p.fill(Rows-1, bright|onBlue)
	p.put(labelAt, Rows-1, Columns-2, bright|onBlue, "This screen takes no input: manage the host with keelctl, over the network.")
	if i.Claim == "" {
		return
	}
	y := Rows - 1 - claimRows
	p.fill(y, bright|onMagenta)
	p.fill(y+1, bright|onMagenta)
	until := ""
	if !i.ClaimUntil.IsZero() {
		until = " until " + i.ClaimUntil.UTC().Format("15:04 UTC")
	}
	p.put(labelAt, y, Columns-2, yellow|onMagenta, "Claim code  "+i.Claim+until)
	address := "ADDRESS"
	if len(i.Addresses) > 0 {
		address = i.Addresses[0]
	}
	p.put(labelAt, y+1, Columns-2, bright|onMagenta, "Whoever has it becomes administrator:  keelctl host claim "+address+" --code CODE")
}

func orText(s, none string) string {
	if s == "" {
		return none
	}
	return s
}
