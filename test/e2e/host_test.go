// Package e2e boots Keel's images in emulators and looks at what they do. Tests that spend long in Bochs are parallel, and so run
// after the others, as many at once as the host has processors: a Bochs uses one, and its time isn't the host's. What depends on the
// host's speed, attacks above all, is not.
package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"keel/boot/iso"
	"keel/test/guest"
	"keel/test/guest/hostile"
	"keel/test/machine"
	"keel/vmkernel/seed"
)

const mib = 1 << 20

// keel is the image under test, built once.
var keel struct {
	once sync.Once
	path string
}

// image returns the path of Keel's image.
func image(t *testing.T) string {
	t.Helper()
	keel.once.Do(func() {
		data, err := os.ReadFile(machine.BuildImage(t, machine.Keel))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(machine.Root(t), "build", "test", "keel.elf")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		keel.path = path
	})
	if keel.path == "" {
		t.Fatal("the image could not be built")
	}
	return keel.path
}

// An emulator is one that Keel is tried on.
type emulator string

const (
	qemu    emulator = "QEMU"           // AMD-V
	haswell emulator = machine.Haswell  // Bochs, VT-x
	skylake emulator = machine.SkylakeX // Bochs, VT-x with more
	virtVTX          = "vt-x"
	virtAMD          = "amd-v"
)

// virt is what the host says that an emulator has.
func (e emulator) virt() string {
	if e == qemu {
		return virtAMD
	}
	return virtVTX
}

// A host is a machine to boot with a seed.
type host struct {
	emulator emulator
	cpus     int // default 2
	memMiB   int // default 1024
	limit    time.Duration
}

// A run is a host at work.
type run struct {
	*machine.Process
	t *testing.T
}

// boot starts Keel with the bytes of a seed; nil for none.
func (h host) boot(t *testing.T, seedData []byte) run {
	t.Helper()
	if h.cpus == 0 {
		h.cpus = 2
	}
	if h.memMiB == 0 {
		h.memMiB = 1024
	}
	path := ""
	if seedData != nil {
		path = filepath.Join(t.TempDir(), "seed.tar")
		if err := os.WriteFile(path, seedData, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if h.emulator == qemu {
		return run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, CPUs: h.cpus, MemMiB: h.memMiB}, h.limit), t}
	}
	cd := medium(t, path)
	return run{machine.Boot(t, machine.Bochs{ISO: cd, CPU: string(h.emulator), CPUs: h.cpus, MemMiB: h.memMiB}, h.limit), t}
}

// medium makes an ISO of Keel with the seed at path, "" for none.
func medium(t *testing.T, path string) string {
	t.Helper()
	cd := filepath.Join(t.TempDir(), "keel.iso")
	if err := iso.Build(t.Context(), cd, iso.Options{Kernel: image(t), Seed: path, Quick: true}); err != nil {
		t.Fatal(err)
	}
	return cd
}

// end waits until the host has switched itself off.
func (r run) end() {
	r.t.Helper()
	if err := r.Wait(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	// A QEMU that was reset ends as one that was switched off.
	if lines := r.Lines(); len(lines) == 0 || !powerOffLine.MatchString(lines[len(lines)-1]) {
		r.t.Errorf("the host ended without switching itself off; its last words:\n%s", r.Tail(5))
	}
}

// A line is an event of the host's log.
var (
	readyLine    = regexp.MustCompile(`^level=INFO msg=ready cpus=(\d+) memory=(\S+) virt=(\S+) tsc=(\d+)`)
	startedLine  = regexp.MustCompile(`^level=INFO msg="vm started" vm=(\S+)`)
	stoppedLine  = regexp.MustCompile(`^level=INFO msg="vm stopped" vm=(\S+) reason="?(.*?)"?$`)
	refusedLine  = regexp.MustCompile(`^level=ERROR msg="vm (?:refused|not started)" vm=(\S+) .*error="?(.*?)"?$`)
	powerOffLine = regexp.MustCompile(`^level=INFO msg=power-off `)
	errorLine    = regexp.MustCompile(`^level=ERROR `)
)

// ready waits for the host to be ready and returns the line's fields by readyLine.
func (r run) ready() []string {
	r.t.Helper()
	m, err := r.WaitFor(r.t.Context(), readyLine)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// byVM returns, of all lines that match re, the second group by the first.
func (r run) byVM(re *regexp.Regexp) map[string][]string {
	found := map[string][]string{}
	for _, l := range r.Lines() {
		if m := re.FindStringSubmatch(l); m != nil {
			found[m[1]] = append(found[m[1]], m[len(m)-1])
		}
	}
	return found
}

// guestLines returns what a guest printed.
func (r run) guestLines(vm string) []string {
	var lines []string
	for _, l := range r.Lines() {
		if text, found := strings.CutPrefix(l, vm+"| "); found {
			lines = append(lines, text)
		}
	}
	return lines
}

// wantReasons fails the test unless each VM was started and stopped once, for the reason given: a
// reason that ends in "..." is a beginning.
func (r run) wantReasons(want map[string]string) {
	r.t.Helper()
	started, stopped := r.byVM(startedLine), r.byVM(stoppedLine)
	for vm, reason := range want {
		if len(started[vm]) != 1 {
			r.t.Errorf("%s: started %d times, want once", vm, len(started[vm]))
		}
		got := stopped[vm]
		begin, open := strings.CutSuffix(reason, "...")
		if len(got) != 1 || got[0] != reason && !(open && strings.HasPrefix(got[0], begin)) {
			r.t.Errorf("%s: stopped for %q, want %q", vm, got, reason)
		}
	}
}

// wantNoErrors fails the test for each error that the host logged.
func (r run) wantNoErrors() {
	r.t.Helper()
	for _, l := range r.Lines() {
		if errorLine.MatchString(l) {
			r.t.Errorf("the host said %s", l)
		}
	}
}

// hostWith is a host's section that switches itself off when idle.
func hostWith() seed.Host {
	h := seed.DefaultHost()
	h.Name, h.WhenIdle, h.OnPanic = "keel-test", seed.IdlePowerOff, seed.PanicHalt
	return h
}

// id makes a UUID of a name.
func id(name string) string {
	s := sha256.Sum256([]byte(name))
	s[6], s[8] = s[6]&15|0x40, s[8]&63|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[0:4], s[4:6], s[6:8], s[8:10], s[10:16])
}

// Files of the seeds.
const (
	fileLinux   = "vmlinuz"
	fileInitrd  = "initrd"
	fileBalloon = "initrd-balloon" // fileInitrd with the drivers of a balloon
	fileMB      = "hostile.multiboot"
	fileMBELF   = "hostile.elf"
	filePVH     = "hostile.pvh"
)

// vm describes a VM with one serial port that stops whatever happens.
func vm(name string, cpus int, memory uint64, boot seed.Direct) seed.VM {
	return seed.VM{
		Name: name, ID: id(name), Machine: seed.Machine,
		CPU:       seed.CPU{Count: cpus, Model: seed.CPUModel},
		Memory:    seed.Memory{Size: memory},
		Boot:      seed.Boot{Firmware: "direct", Direct: boot},
		Serial:    []seed.Serial{{Name: "ttyS0", Log: seed.LogHost}},
		Autostart: seed.Autostart{Enabled: true}, StopTimeout: seed.Duration(30 * time.Second),
		OnPowerOff: seed.Stop, OnReboot: seed.Stop, OnCrash: seed.Stop,
		Debug: seed.Debug{ExitPort: hostile.ExitPort},
	}
}

// linux is Debian's kernel with the workload; words go to its command line.
func linux(name string, cpus int, memory uint64, words string) seed.VM {
	return vm(name, cpus, memory, seed.Direct{Kernel: fileLinux, Initrd: fileInitrd,
		Cmdline: strings.TrimSpace("console=ttyS0 quiet mitigations=off workload.quick " + words)})
}

// metal is the hostile kernel, run through letters.
func metal(name, letters string) seed.VM {
	return vm(name, 1, 16*mib, seed.Direct{Kernel: fileMB, Cmdline: "run=" + letters})
}

// files returns the contents of the named files.
func files(t *testing.T, names ...string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range names {
		var data []byte
		var err error
		switch name {
		case fileLinux:
			data, err = os.ReadFile(guest.Kernel(t))
		case fileInitrd:
			data = guest.Workload(t)
		case fileBalloon:
			data = guest.Balloon(t)
		case fileMB:
			data, err = hostile.Multiboot()
		case fileMBELF:
			data, err = hostile.MultibootELF()
		case filePVH:
			data, err = hostile.PVH()
		default:
			t.Fatalf("no file %s", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	return all
}

// pack makes a seed of VMs with the files that they name.
func pack(t *testing.T, vms []seed.VM, f map[string][]byte) []byte {
	t.Helper()
	data, err := seed.Pack(hostWith(), vms, f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func exitCode(n int) string { return "exit code " + strconv.Itoa(n) }
