package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"keel/vmkernel/seed"
)

// describe is a seed in one line.
func describe(d *seed.Document, size int) string {
	return fmt.Sprintf("host %s, %s, %s, %s", d.Host.Name, count(len(d.VMs), "VM"), count(len(d.Files), "file"), about(int64(size)))
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// about is a size to read, not to compute with.
func about(n int64) string {
	v, unit := float64(n), "bytes"
	for _, u := range []string{"KiB", "MiB", "GiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f%s", v, unit)
}

// show writes a seed for reading. All text in it is printable: the decoder has seen to it.
func show(w io.Writer, s *seed.Seed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}

	fmt.Fprintf(t, "host %s\n", s.Host.Name)
	row("when idle", "%s", s.Host.WhenIdle)
	row("on panic", "%s", s.Host.OnPanic)
	row("log", "%s and above", s.Host.Log.Level)
	showManagement(row, &s.Host.Management)
	showTrust(row, &s.Host)
	if c := s.Host.Audit.Collector; c != nil {
		row("audit log", "sent to %s", c.Address)
	}
	showSignature(row, s)
	for _, p := range s.Host.Pools {
		fmt.Fprintf(t, "\npool %s\n", p.Name)
		if p.Parent != "" {
			row("in", "%s", p.Parent)
		}
		row("processors", "%s", share(p.CPU, seed.FormatPercent))
		row("memory", "%s", share(p.Memory, seed.FormatSize))
	}
	for _, vm := range s.VMs {
		fmt.Fprintf(t, "\nVM %s\n", vm.Name)
		showVM(row, vm)
	}
	for _, r := range s.Refused {
		fmt.Fprintf(t, "\nVM %s\n", refused(r))
		for _, p := range r.Problems {
			row("refused", "%s: %s", p.Path, p.Msg)
		}
	}
	if len(s.Files) > 0 {
		fmt.Fprint(t, "\nfiles\n")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		info := s.Files[name].Info
		row(name, "%s  sha256 %s", about(info.Size), info.SHA256)
	}
	return t.Flush()
}

// refused names a VM that was refused.
func refused(r *seed.Refusal) string {
	if r.VM == "" {
		return fmt.Sprintf("number %d", r.Index+1)
	}
	return r.VM
}

// processors names logical processors.
func processors(cpus []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(cpus), " ", ", "), "[]")
}

func showVM(row func(name, format string, args ...any), vm seed.VM) {
	row("id", "%s", vm.ID)
	row("machine", "%s", vm.Machine)
	row("processors", "%d, %s", vm.CPU.Count, vm.CPU.Model)
	showShare(row, vm.CPU.Share, vm.CPU.Pool, seed.FormatPercent)
	switch cpus := vm.CPU.Affinity; {
	case vm.CPU.Exclusive && len(cpus) == 0:
		row("", "is to have %d of the host's for itself", vm.CPU.Count)
	case vm.CPU.Exclusive:
		row("", "is to have %s for itself", processors(cpus))
	case len(cpus) > 0:
		row("", "runs on %s", processors(cpus))
	}
	row("memory", "%s", seed.FormatSize(vm.Memory.Size))
	showShare(row, vm.Memory.Share, vm.Memory.Pool, seed.FormatSize)
	row("kernel", "%s", vm.Boot.Direct.Kernel)
	if vm.Boot.Direct.Initrd != "" {
		row("initrd", "%s", vm.Boot.Direct.Initrd)
	}
	if vm.Boot.Direct.Cmdline != "" {
		row("cmdline", "%s", vm.Boot.Direct.Cmdline)
	}
	for _, m := range vm.Boot.Direct.Modules {
		row("module", "%s", strings.TrimSpace(m.File+" "+m.Cmdline))
	}
	for _, s := range vm.Serial {
		if s.Log == seed.LogHost {
			row("serial", "%s, lines go to the host's log", s.Name)
		} else {
			row("serial", "%s", s.Name)
		}
	}
	if vm.Autostart.Enabled {
		row("autostart", "order %d, delay %s", vm.Autostart.Order, vm.Autostart.Delay)
	} else {
		row("autostart", "no")
	}
	row("afterwards", "power-off: %s, reboot: %s, crash: %s", vm.OnPowerOff, vm.OnReboot, vm.OnCrash)
	row("stop timeout", "%s", vm.StopTimeout)
	for _, key := range slices.Sorted(maps.Keys(vm.Labels)) {
		row("label", "%s=%s", key, vm.Labels[key])
	}
	if vm.Debug.ExitPort != 0 {
		row("exit port", "%#x", vm.Debug.ExitPort)
	}
}

// showShare says what a VM has of a resource, and where it has it from.
func showShare(row func(name, format string, args ...any), s seed.Share, pool string, format func(uint64) string) {
	if s.Shares == 0 {
		return // this version of Keel doesn't obey them
	}
	text := share(s, format)
	if pool != "" {
		text += ", in pool " + pool
	}
	row("", "%s", text)
}

// share is what a VM or a pool has of a resource.
func share(s seed.Share, format func(uint64) string) string {
	text := count(int(s.Shares), "share")
	if s.Reservation != 0 {
		text += ", " + format(s.Reservation) + " reserved"
	}
	if s.Limit != 0 {
		text += ", at most " + format(s.Limit)
	}
	return text
}

func showManagement(row func(name, format string, args ...any), m *seed.Management) {
	if m.NIC == "" {
		row("management", "no network")
		return
	}
	row("management", "NIC %s", m.NIC)
	for _, list := range []struct {
		name string
		text string
	}{{"addresses", join(m.Addresses)}, {"routers", join(m.Routers)}, {"dns", join(m.DNS)}, {"ntp", join(m.NTP)}} {
		if list.text != "" {
			row(list.name, "%s", list.text)
		}
	}
}

func join[T fmt.Stringer](list []T) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, ", ")
}
