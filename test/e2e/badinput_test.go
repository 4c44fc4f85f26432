package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/test/guest/hostile"
	"keel/vmkernel/seed"
)

// TestBadVMsAreRefusedAndOthersRun gives one seed with VMs that can't be: each gets one clear line,
// and the good ones at the beginning and the end run.
func TestBadVMsAreRefusedAndOthersRun(t *testing.T) {
	t.Parallel()
	kernel := files(t, fileMB, fileLinux)
	f := map[string][]byte{
		fileMB:      kernel[fileMB],
		"linux-cut": kernel[fileLinux][:100_000],
		"text":      []byte("#!/bin/sh\necho not a kernel\n"),
		"empty":     {},
		"zeros":     make([]byte, 1<<20),
		"elf-cut":   {0x7F, 'E', 'L', 'F', 2, 1, 1},
		"big":       make([]byte, 20*mib),
	}
	from := func(name, file string) seed.VM {
		v := metal(name, "h")
		v.Boot.Direct.Kernel = file
		return v
	}
	with := func(name string, change func(*seed.VM)) seed.VM {
		v := metal(name, "h")
		change(&v)
		return v
	}
	vms := []seed.VM{metal("good-first", "h")}
	want := map[string]string{} // VM to what its line says, a regular expression
	add := func(v seed.VM, says string) {
		vms = append(vms, v)
		want[v.Name] = says
	}
	add(from("linux-cut", "linux-cut"), `truncated|bytes`)
	add(from("text", "text"), `bzImage`)
	add(from("empty", "empty"), `empty`)
	add(from("zeros", "zeros"), `bzImage`)
	add(from("elf-cut", "elf-cut"), `truncated`)
	add(with("initrd-too-big", func(v *seed.VM) { v.Boot.Direct.Initrd = "big" }), `memory.size: 16MiB is too little for the files`)
	add(with("initrd-no-room", func(v *seed.VM) {
		v.Boot.Direct.Initrd, v.Memory.Size = "big", 21*mib
	}), `initrd`)
	add(with("kernel-missing", func(v *seed.VM) { v.Boot.Direct.Kernel = "nowhere" }), `nowhere`)
	add(with("memory-none", func(v *seed.VM) { v.Memory.Size = 0 }), `memory`)
	add(with("memory-odd", func(v *seed.VM) { v.Memory.Size = 16*mib + 1 }), `memory`)
	add(with("memory-too-much", func(v *seed.VM) { v.Memory.Size = 64 << 30 }), `memory`)
	add(with("memory-wraps", func(v *seed.VM) { v.Memory.Size = 1<<64 - 4096 }), `memory`)
	add(with("cpus-none", func(v *seed.VM) { v.CPU.Count = 0 }), `cpu.count: 0`)
	add(with("cpus-300", func(v *seed.VM) { v.CPU.Count = 300 }), `cpu.count: 300`)
	add(with("model", func(v *seed.VM) { v.CPU.Model = "z80" }), `z80`)
	add(with("machine", func(v *seed.VM) { v.Machine = "keel-99" }), `keel-99`)
	twice := metal("good-first", "3")
	twice.ID = id("another")
	vms = append(vms, twice, metal("good-last", "h"))

	for _, e := range []emulator{qemu, haswell} {
		t.Run(string(e), func(t *testing.T) {
			r := host{emulator: e, limit: 3 * time.Minute}.boot(t, pack(t, vms, f))
			r.end()
			refused := r.byVM(refusedLine)
			for vm, says := range want {
				lines := refused[vm]
				if len(lines) != 1 || !regexp.MustCompile(says).MatchString(lines[0]) {
					t.Errorf("%s was refused with %q, want one line that says %s", vm, lines, says)
				}
			}
			if lines := refused["good-first"]; len(lines) != 1 || !strings.Contains(lines[0], "taken") && !strings.Contains(lines[0], "already") {
				t.Errorf("the second VM of a name was refused with %q", lines)
			}
			r.wantReasons(map[string]string{"good-first": exitCode(hostile.ExitHello), "good-last": exitCode(hostile.ExitHello)})
		})
	}
}

// TestGuestsBeyondTheDeviceHole runs guests with exactly 4 GiB and with more, and refuses what the
// machine hasn't.
func TestGuestsBeyondTheDeviceHole(t *testing.T) {
	vms := []seed.VM{metal("four", "h"), metal("five", "h"), metal("eight", "h")}
	for i, size := range []uint64{4 << 30, 5 << 30, 8 << 30} {
		vms[i].Memory.Size = size
		vms[i].Autostart.Order = i
		vms[i].Autostart.Delay = seed.Duration(time.Duration(i) * 5 * time.Second)
	}
	r := host{emulator: qemu, memMiB: 7 << 10, limit: 2 * time.Minute}.boot(t, pack(t, vms, files(t, fileMB)))
	r.end()
	r.wantReasons(map[string]string{"four": exitCode(hostile.ExitHello), "five": exitCode(hostile.ExitHello)})
	if lines := r.byVM(refusedLine)["eight"]; len(lines) != 1 || !strings.Contains(lines[0], "memory") {
		t.Errorf("8 GiB on a machine with 7 were refused with %q", lines)
	}
}

// TestBadSeedsLeaveTheHostUp boots with seeds that can't be used, and with none: one line says why,
// and the host stays up.
func TestBadSeedsLeaveTheHostUp(t *testing.T) {
	good := pack(t, []seed.VM{metal("good", "h")}, files(t, fileMB))
	entry := func(h tar.Header, data string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
		// A whole seed follows, so that only this entry is wrong.
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return append(b.Bytes(), good...)
	}
	reg := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Format: tar.FormatUSTAR}
	}
	for _, c := range []struct {
		name string
		data []byte
		says string
	}{
		{"none", nil, `msg="no seed"`},
		{"cut in the first header", good[:100], `seed`},
		{"cut after the first header", good[:512], `seed`},
		{"cut in keel.json", good[:600], `seed`},
		{"cut in a file", good[:len(good)-9000], `seed`},
		{"path traversal", entry(reg("../../etc/passwd"), "x"), `\.\./`},
		{"absolute path", entry(reg("/etc/passwd"), "x"), `/etc/passwd`},
		{"link", entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "kernel", Linkname: "/dev/mem", Format: tar.FormatUSTAR}, ""), `kernel`},
		{"two manifests", entry(reg("keel.json"), "{}"), `keel.json`},
		{"unknown key", bytes.Replace(good, []byte(`"whenIdle"`), []byte(`"whenOdle"`), 1), `whenOdle`},
		{"changed file", func() []byte { b := bytes.Clone(good); b[len(b)-12_000] ^= 1; return b }(), `SHA-256|sha256|contents`},
		{"noise", bytes.Repeat([]byte("keel"), 1000), `seed`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := host{emulator: qemu, cpus: 1, memMiB: 256, limit: 2 * time.Minute}.boot(t, c.data)
			r.ready()
			re := regexp.MustCompile(`^level=(ERROR|WARN) .*(` + c.says + `)`)
			if _, err := r.WaitFor(t.Context(), re); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			var lines []string
			for _, l := range r.Lines() {
				if strings.Contains(l, `msg="no network"`) { // a host without a seed wants one, and this machine has none
					continue
				}
				if strings.HasPrefix(l, "level=ERROR") || strings.HasPrefix(l, "level=WARN") {
					lines = append(lines, l)
				}
			}
			if len(lines) != 1 {
				t.Errorf("%d lines about it, want one: %q", len(lines), lines)
			}
			if n := len(r.byVM(startedLine)); n != 0 {
				t.Errorf("%d VMs were started", n)
			}
			r.Stop()
		})
	}
}

// TestHostWithoutVirtualisationSaysWhatIsMissing boots processors without VT-x or AMD-V.
func TestHostWithoutVirtualisationSaysWhatIsMissing(t *testing.T) {
	data := pack(t, []seed.VM{metal("never", "h")}, files(t, fileMB))
	path := t.TempDir() + "/seed.tar"
	writeFile(t, path, data)
	for _, c := range []struct {
		name    string
		machine machineOf
	}{
		{"QEMU", func(t *testing.T) run { return bootQEMU(t, "qemu64,-svm", path) }},
		{"Bochs", func(t *testing.T) run { return bootBochs(t, "p4_prescott_celeron_336", path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.machine(t)
			if m := r.ready(); m[3] != "none" {
				t.Errorf("%s: want virt=none", m[0])
			}
			if _, err := r.WaitFor(t.Context(), regexp.MustCompile(`^level=ERROR msg="no VM can run here" cause="?.*(VT-x|AMD-V|XSAVE)`)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			select {
			case <-ended(r):
				t.Error("the host did not stay up")
			default:
			}
			if n := len(r.byVM(startedLine)); n != 0 {
				t.Errorf("%d VMs were started", n)
			}
			r.Stop()
		})
	}
}

// TestMachinesOfAllSizes boots hosts with 1 to 8 processors and 256 MiB to 16 GiB of memory, and by
// BIOS and UEFI: each runs a guest.
func TestMachinesOfAllSizes(t *testing.T) {
	data := pack(t, []seed.VM{metal("guest", "h")}, files(t, fileMB))
	check := func(t *testing.T, r run, cpus int) {
		t.Helper()
		if m := r.ready(); m[1] != fmt.Sprint(cpus) {
			t.Errorf("%s: want cpus=%d", m[0], cpus)
		}
		r.end()
		r.wantReasons(map[string]string{"guest": exitCode(hostile.ExitHello)})
		r.wantNoErrors()
	}
	for _, h := range []host{
		{emulator: qemu, cpus: 1, memMiB: 256},
		{emulator: qemu, cpus: 2, memMiB: 5 << 10},
		{emulator: qemu, cpus: 3, memMiB: 300},
		{emulator: qemu, cpus: 4, memMiB: 16 << 10},
		{emulator: qemu, cpus: 8, memMiB: 1024},
		{emulator: haswell, cpus: 1, memMiB: 256},
		{emulator: haswell, cpus: 3, memMiB: 512},
		{emulator: skylake, cpus: 8, memMiB: 1024},
	} {
		t.Run(fmt.Sprintf("%s/%d processors %d MiB", h.emulator, h.cpus, h.memMiB), func(t *testing.T) {
			h.limit = 3 * time.Minute
			check(t, h.boot(t, data), h.cpus)
		})
	}
	path := t.TempDir() + "/seed.tar"
	writeFile(t, path, data)
	for _, firmware := range firmwares {
		t.Run(string(firmware), func(t *testing.T) { check(t, bootFirmware(t, firmware, path), 2) })
	}
}
