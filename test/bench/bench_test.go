package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"keel/boot/iso"
	"keel/test/guest"
	"keel/test/machine"
	"keel/vmkernel/seed"
)

// What Keel must hold, in ticks of Bochs 2.7's corei7_haswell_4770 (but for the last two).
const (
	mustCPUID   = 300
	mustUART    = 1_000
	mustInit    = 1_500_000_000
	mustOutside = 10.0 // percent of the ticks from first entry on, HLT not counted
	mustReady   = 200_000_000
	mustSize    = 6 << 20 // bytes of the image under zstd -19
)

// figures of one run: a host with one processor and 1 GiB, and in it a Linux guest with 256 MiB that
// runs test/guest/bench.
type figures struct {
	ready, guest, outside float64
	bench                 map[string]float64 // GUESTBENCH lines
	image                 []byte
}

var (
	once     sync.Once
	measured figures
	failure  error
)

func measure(b *testing.B) figures {
	b.Helper()
	once.Do(func() { measured, failure = run(b) })
	if failure != nil {
		b.Fatal(failure)
	}
	return measured
}

var (
	readyLine   = regexp.MustCompile(`^level=INFO msg=ready .*ticks=(\d+)`)
	benchLine   = regexp.MustCompile(`^g\| GUESTBENCH (\S+) (\d+)$`)
	figuresLine = regexp.MustCompile(`^level=INFO msg="vm figures" vm=g .*guest=(\d+) outside=(\d+)`)
)

func run(b *testing.B) (figures, error) {
	f := figures{bench: map[string]float64{}}
	var err error
	if f.image, err = os.ReadFile(machine.BuildImage(b, machine.Keel)); err != nil {
		return f, err
	}
	cd, err := medium(b, f.image)
	if err != nil {
		return f, err
	}
	p := machine.Boot(b, machine.Bochs{ISO: cd, CPU: machine.Haswell, MemMiB: 1024}, 6*time.Minute)
	if err := p.Wait(b.Context()); err != nil {
		return f, err
	}
	number := func(s string) float64 { v, _ := strconv.ParseFloat(s, 64); return v }
	for _, l := range p.Lines() {
		if m := readyLine.FindStringSubmatch(l); m != nil {
			f.ready = number(m[1])
		} else if m := benchLine.FindStringSubmatch(l); m != nil {
			f.bench[m[1]] = number(m[2])
		} else if m := figuresLine.FindStringSubmatch(l); m != nil {
			f.guest, f.outside = number(m[1]), number(m[2])
		}
	}
	if f.ready == 0 || f.guest == 0 || f.bench["cpuid"] == 0 || f.bench["uart_lsr_in"] == 0 || f.bench["uart_lsr_in_sending"] == 0 || f.bench["init_tsc"] == 0 {
		return f, fmt.Errorf("a figure is missing: %+v\n%s", f.bench, p.Tail(40))
	}
	return f, nil
}

// medium makes an ISO of an image, with a seed whose guest runs test/guest/bench.
func medium(b *testing.B, image []byte) (cd string, err error) {
	kernel, err := os.ReadFile(guest.Kernel(b))
	if err != nil {
		return "", err
	}
	h := seed.DefaultHost()
	h.Name, h.WhenIdle = "bench", seed.IdlePowerOff
	vm := seed.VM{}
	vm.Name, vm.ID, vm.Machine = "g", "00000000-0000-4000-8000-000000000001", "keel-1"
	vm.CPU.Count, vm.CPU.Model, vm.Memory.Size = 1, "keel-x86-1", 256<<20
	vm.Boot.Firmware = "direct"
	vm.Boot.Direct.Kernel, vm.Boot.Direct.Initrd = "vmlinuz", "bench.cpio.gz"
	vm.Boot.Direct.Cmdline = "console=ttyS0 quiet mitigations=off"
	vm.Serial = []seed.Serial{{Name: "ttyS0", Log: seed.LogHost}}
	vm.Autostart.Enabled = true
	vm.OnPowerOff, vm.OnReboot, vm.OnCrash = seed.Stop, seed.Stop, seed.Stop
	vm.StopTimeout = seed.Duration(30 * time.Second)
	archive, err := seed.Pack(h, []seed.VM{vm}, map[string][]byte{"vmlinuz": kernel, "bench.cpio.gz": guest.Bench(b)})
	if err != nil {
		return "", err
	}
	dir := b.TempDir()
	path, cd := filepath.Join(dir, "seed.tar"), filepath.Join(dir, "keel.iso")
	if err := os.WriteFile(path, archive, 0o644); err != nil {
		return "", err
	}
	elf := filepath.Join(dir, "keel.elf")
	if err := os.WriteFile(elf, image, 0o644); err != nil {
		return "", err
	}
	if err := iso.Build(b.Context(), cd, iso.Options{Kernel: elf, Seed: path, Quick: true}); err != nil {
		return "", err
	}
	return cd, nil
}

// hold reports a figure and fails if it is above what it must not exceed; 0 is no limit.
func hold(b *testing.B, v, must float64, unit string) {
	b.Helper()
	for b.Loop() {
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(v, unit)
	if must != 0 && v > must {
		b.Fatalf("%.4g %s: must be at most %.4g", v, unit, must)
	}
}

func BenchmarkCPUIDExit(b *testing.B) { hold(b, measure(b).bench["cpuid"], mustCPUID, "ticks/op") }

func BenchmarkUARTStatusRead(b *testing.B) {
	hold(b, measure(b).bench["uart_lsr_in"], mustUART, "ticks/op")
}

func BenchmarkUARTStatusReadWhileSending(b *testing.B) {
	hold(b, measure(b).bench["uart_lsr_in_sending"], mustUART, "ticks/op")
}

func BenchmarkPOSTPortWrite(b *testing.B) { hold(b, measure(b).bench["out_0x80"], 0, "ticks/op") }

func BenchmarkFirstEntryToInit(b *testing.B) {
	hold(b, measure(b).bench["init_tsc"], mustInit, "ticks/op")
}

func BenchmarkOutsideGuestMode(b *testing.B) {
	f := measure(b)
	hold(b, 100*f.outside/(f.guest+f.outside), mustOutside, "%")
}

func BenchmarkHandoverToReady(b *testing.B) { hold(b, measure(b).ready, mustReady, "ticks/op") }

func BenchmarkImageSize(b *testing.B) {
	zstd := exec.Command("zstd", "-19", "-q", "-c")
	zstd.Stdin = bytes.NewReader(measure(b).image)
	out, err := zstd.Output()
	if err != nil {
		b.Fatalf("zstd: %v", err)
	}
	hold(b, float64(len(out)), mustSize, "zstd-bytes")
}
