package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keel/boot/iso"
	"keel/test/guest/wake"
	"keel/test/machine"
	"keel/vmkernel/seed"
)

// How late a guest that executed HLT wakes after its timer's deadline, in ticks: on Keel, and under KVM with the smallest
// monitor there is (tools/peer), the same guest program on the same emulated processor. On an idle host nothing else
// runs; on a saturated one another guest never gives its processor up.
func BenchmarkWakeUp(b *testing.B) {
	for _, host := range []struct {
		name string
		boot func(b *testing.B, load string) []float64
	}{{"keel", wakeOnKeel}, {"kvm", wakeOnKVM}} {
		for _, load := range []string{"idle", "saturated"} {
			b.Run(host.name+"/"+load, func(b *testing.B) {
				late := host.boot(b, load)
				slices.Sort(late)
				for b.Loop() {
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(late[len(late)/2], "median-ticks")
				b.ReportMetric(late[len(late)*99/100], "p99-ticks")
			})
		}
	}
}

var (
	keelLatency = regexp.MustCompile(`^wake\| ([0-9a-f]{8})$`)
	peerLatency = regexp.MustCompile(`^PEER (idle|saturated) ([0-9a-f ]+)\r?$`)
	peerEnd     = regexp.MustCompile(`^PEER (done|FAIL)`)
)

func wakeOnKeel(b *testing.B, load string) (late []float64) {
	h := seed.DefaultHost()
	h.Name = "bench"
	vms := []seed.VM{wakeVM("wake", 2)}
	if load == "saturated" {
		vms = append(vms, wakeVM("spin", 1))
	}
	archive, err := seed.Pack(h, vms, map[string][]byte{"wake": wake.Image(), "spin": wake.Spin()})
	if err != nil {
		b.Fatal(err)
	}
	path, cd := filepath.Join(b.TempDir(), "seed.tar"), filepath.Join(b.TempDir(), "keel.iso")
	if err := os.WriteFile(path, archive, 0o644); err != nil {
		b.Fatal(err)
	}
	if err := iso.Build(b.Context(), cd, iso.Options{Kernel: machine.BuildImage(b, machine.Keel), Seed: path, Quick: true}); err != nil {
		b.Fatal(err)
	}
	p := machine.Boot(b, machine.Bochs{ISO: cd, MemMiB: 1024}, 5*time.Minute)
	if _, err := p.WaitFor(b.Context(), regexp.MustCompile(`msg="vm stopped" vm=wake`)); err != nil {
		b.Fatal(err)
	}
	for _, l := range p.Lines() {
		if m := keelLatency.FindStringSubmatch(l); m != nil {
			late = append(late, ticks(b, m[1]))
		}
	}
	return complete(b, late, p)
}

// wakeVM describes a VM that runs a kernel of package wake.
func wakeVM(name string, order int) seed.VM {
	vm := seed.VM{Name: name, ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", order), Machine: seed.Machine}
	vm.CPU.Count, vm.CPU.Model, vm.Memory.Size = 1, seed.CPUModel, 16<<20
	vm.Boot.Firmware, vm.Boot.Direct.Kernel = "direct", name
	vm.Serial = []seed.Serial{{Name: "ttyS0", Log: seed.LogHost}}
	vm.Debug.ExitPort = wake.EndPort
	vm.Autostart.Enabled, vm.Autostart.Order = true, order
	vm.OnPowerOff, vm.OnReboot, vm.OnCrash = seed.Stop, seed.Stop, seed.Stop
	vm.StopTimeout = seed.Duration(time.Second)
	return vm
}

var peerLates map[string][]float64

func wakeOnKVM(b *testing.B, load string) []float64 {
	if peerLates == nil {
		cd := filepath.Join(b.TempDir(), "peer.iso")
		c := exec.CommandContext(b.Context(), "go", "run", "./tools/peer", "-o", cd)
		c.Dir = machine.Root(b)
		if text, err := c.CombinedOutput(); err != nil {
			b.Fatalf("%v: %v\n%s", c.Args, err, text)
		}
		p := machine.Boot(b, machine.Bochs{ISO: cd, MemMiB: 1024}, 10*time.Minute)
		if _, err := p.WaitFor(b.Context(), peerEnd); err != nil {
			b.Fatalf("%v\n%s", err, p.Tail(20))
		}
		peerLates = map[string][]float64{}
		for _, l := range p.Lines() {
			if m := peerLatency.FindStringSubmatch(l); m != nil {
				for _, v := range strings.Fields(m[2]) {
					peerLates[m[1]] = append(peerLates[m[1]], ticks(b, v))
				}
			}
		}
		complete(b, peerLates["saturated"], p)
	}
	return peerLates[load]
}

func ticks(b *testing.B, hex string) float64 {
	v, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		b.Fatal(err)
	}
	return float64(v)
}

// complete fails where there isn't a latency for each round.
func complete(b *testing.B, late []float64, p *machine.Process) []float64 {
	b.Helper()
	if len(late) != wake.Rounds {
		b.Fatalf("%d latencies, want %d\n%s", len(late), wake.Rounds, p.Tail(20))
	}
	return late
}
