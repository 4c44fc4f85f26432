package bench

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keel/test/machine"
)

// Costly instructions look as cheap as any other in Bochs, where a tick is an instruction: so they
// are counted, in a trace of the processor, from one VM entry to the next.
var costly = []string{"VMREAD", "VMWRITE", "WRMSR", "RDMSR", "XSAVE", "XRSTOR", "INVEPT", "INVVPID"}

// What an exit must not exceed of each of costly, in that order.
var (
	mustCPUIDCounts = [...]float64{5, 1, 0, 0, 0, 0, 0, 0}
	mustUARTCounts  = [...]float64{6, 1, 6, 0, 1, 2, 0, 0}
)

// traced is how a kind of exit is found: by a function of the lower half that all of them, and few
// others, pass through; so often before the benchmark's loop is reached; and how many instructions
// are then traced.
type traced struct {
	function string
	skip     int
	steps    int
	once     sync.Once
	cycles   []map[string]int
	err      error
}

var (
	cpuidExits = &traced{function: "keel/vmkernel/core.(*vcpu).doCPUID", skip: 700, steps: 20_000}
	uartExits  = &traced{function: "keel/vmkernel/core.vmbrief", skip: 1_600, steps: 30_000}
)

var (
	traceLine = regexp.MustCompile(`^\(0\)\.\[\d+\].*\): ([a-z0-9]+)`)
	entryToVM = regexp.MustCompile(`^vm(resume|launch)$`)
)

// measure returns, for each whole cycle from entry to entry, how often each instruction was executed.
func (tr *traced) measure(b *testing.B) []map[string]int {
	b.Helper()
	tr.once.Do(func() { tr.cycles, tr.err = tr.run(b) })
	if tr.err != nil {
		b.Fatal(tr.err)
	}
	return tr.cycles
}

func (tr *traced) run(b *testing.B) ([]map[string]int, error) {
	image := machine.BuildImage(b, machine.Keel)
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	cd, err := medium(b, data)
	if err != nil {
		return nil, err
	}
	addr, err := address(filepath.Join(filepath.Dir(image), "image.raw"), tr.function)
	if err != nil {
		return nil, err
	}
	debug := []string{fmt.Sprintf("lb 0x%x", addr)}
	for range tr.skip {
		debug = append(debug, "c")
	}
	debug = append(debug, "d 1", "trace on", fmt.Sprintf("s %d", tr.steps))
	const log = "trace.log"
	p := machine.Boot(b, machine.Bochs{ISO: cd, MemMiB: 1024, Debug: debug, Config: []string{"debugger_log: " + log}}, 6*time.Minute)
	p.Wait(b.Context()) // with an error: the trace's end is not a power-off
	text, err := os.ReadFile(filepath.Join(p.Dir(), log))
	if err != nil {
		return nil, err
	}
	var cycles []map[string]int
	var cycle map[string]int
	for line := range strings.Lines(string(text)) {
		m := traceLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if entryToVM.MatchString(m[1]) {
			if cycle != nil {
				cycles = append(cycles, cycle)
			}
			cycle = map[string]int{}
		} else if cycle != nil {
			cycle[strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(m[1]), "64"), "OPT")]++
		}
	}
	if len(cycles) < 10 {
		return nil, fmt.Errorf("%d cycles from one VM entry to the next are in the trace of %s, want at least 10: %s\n%s",
			len(cycles), tr.function, p.Dir(), p.Tail(20))
	}
	return cycles, nil
}

// BenchmarkCountsPerCPUIDExit and BenchmarkCountsPerUARTExit count costly instructions from one VM
// entry to the next: the median of the cycles in the trace.
func BenchmarkCountsPerCPUIDExit(b *testing.B) { holdCounts(b, cpuidExits, mustCPUIDCounts[:]) }

func BenchmarkCountsPerUARTExit(b *testing.B) { holdCounts(b, uartExits, mustUARTCounts[:]) }

func holdCounts(b *testing.B, tr *traced, must []float64) {
	b.Helper()
	cycles := tr.measure(b)
	for b.Loop() {
	}
	b.ReportMetric(0, "ns/op")
	for i, op := range costly {
		var counts []int
		for _, c := range cycles {
			counts = append(counts, c[op])
		}
		slices.Sort(counts)
		n := float64(counts[len(counts)/2])
		b.ReportMetric(n, op+"/op")
		if n > must[i] {
			b.Errorf("%g %s an exit: must be at most %g", n, op, must[i])
		}
	}
}

// address returns where a function is in an image.
func address(raw, function string) (uint64, error) {
	f, err := elf.Open(raw)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == function {
			return s.Value, nil
		}
	}
	return 0, fmt.Errorf("%s is not in the image: has it been renamed?", function)
}
