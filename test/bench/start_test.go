package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"keel/boot/iso"
	"keel/test/guest/hostile"
	"keel/test/machine"
	"keel/vmkernel/seed"
)

// What starting a VM of 1 GiB, until its first instruction, must not exceed: in ticks of Bochs, one processor. Where its
// memory is lent it comes when it is touched; where it is reserved all of it is there at the start, and what isn't zero yet
// is zeroed then.
const (
	mustStartLent     = 20_000_000
	mustStartScrubbed = 20_000_000
	mustStartDirty    = 200_000_000
)

var startedTicks = regexp.MustCompile(`^level=INFO msg="vm started" vm=(\S+) .*ticks=(\d+)`)

// starts are the ticks that starting a VM took, by its name.
var starts struct {
	once  sync.Once
	ticks map[string]float64
	err   error
}

// measureStart runs a machine of 3 GiB in which three VMs of 1 GiB run one after the other: one to which memory is lent;
// one that has all of it reserved, and takes frames that nobody had; and another of that kind, which takes what the host
// has zeroed in the meantime.
func measureStart(b *testing.B) map[string]float64 {
	b.Helper()
	s := &starts
	s.once.Do(func() { s.ticks, s.err = runStarts(b) })
	if s.err != nil {
		b.Fatal(s.err)
	}
	return s.ticks
}

func runStarts(b *testing.B) (map[string]float64, error) {
	kernel, err := hostile.Multiboot()
	if err != nil {
		return nil, err
	}
	h := seed.DefaultHost()
	h.Name, h.WhenIdle = "bench", seed.IdlePowerOff
	var vms []seed.VM
	for i, name := range []string{"lent", "dirty", "scrubbed"} {
		vm := seed.VM{Name: name, ID: fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i+1), Machine: seed.Machine}
		vm.CPU.Count, vm.CPU.Model, vm.Memory.Size = 1, seed.CPUModel, 1<<30
		if name != "lent" {
			vm.Memory.Reservation = 1 << 30
		}
		vm.Boot.Firmware = "direct"
		vm.Boot.Direct.Kernel, vm.Boot.Direct.Cmdline = "kernel", "run=x"
		vm.Autostart.Enabled, vm.Autostart.Order, vm.Autostart.Delay = true, i, seed.Duration(2*time.Second)
		vm.OnPowerOff, vm.OnReboot, vm.OnCrash = seed.Stop, seed.Stop, seed.Stop
		vm.StopTimeout = seed.Duration(30 * time.Second)
		vm.Debug.ExitPort = hostile.ExitPort
		vms = append(vms, vm)
	}
	archive, err := seed.Pack(h, vms, map[string][]byte{"kernel": kernel})
	if err != nil {
		return nil, err
	}
	dir := b.TempDir()
	path, cd := filepath.Join(dir, "seed.tar"), filepath.Join(dir, "keel.iso")
	if err := os.WriteFile(path, archive, 0o644); err != nil {
		return nil, err
	}
	if err := iso.Build(b.Context(), cd, iso.Options{Kernel: machine.BuildImage(b, machine.Keel), Seed: path, Quick: true}); err != nil {
		return nil, err
	}
	p := machine.Boot(b, machine.Bochs{ISO: cd, CPU: machine.Haswell, MemMiB: 3072}, 4*time.Minute)
	if err := p.Wait(b.Context()); err != nil {
		return nil, err
	}
	ticks := map[string]float64{}
	for _, l := range p.Lines() {
		if m := startedTicks.FindStringSubmatch(l); m != nil {
			ticks[m[1]], _ = strconv.ParseFloat(m[2], 64)
		}
	}
	if len(ticks) != len(vms) {
		return nil, fmt.Errorf("%d VMs were started, want %d\n%s", len(ticks), len(vms), p.Tail(20))
	}
	return ticks, nil
}

func BenchmarkStartOf1GiBLent(b *testing.B) {
	hold(b, measureStart(b)["lent"], mustStartLent, "ticks/op")
}

func BenchmarkStartOf1GiBScrubbed(b *testing.B) {
	hold(b, measureStart(b)["scrubbed"], mustStartScrubbed, "ticks/op")
}

func BenchmarkStartOf1GiBDirty(b *testing.B) {
	hold(b, measureStart(b)["dirty"], mustStartDirty, "ticks/op")
}
