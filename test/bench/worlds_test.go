package bench

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"keel/test/machine"
)

var (
	worldsCost = regexp.MustCompile(`worlds=(\d+) decisions=\d+ ticks=(\d+) switches=\d+ ticks=(\d+)`)
	worldsEnd  = regexp.MustCompile(`^worlds\| (\d+) passed, (\d+) failed$`)
)

// BenchmarkWorlds measures what the scheduler costs with 10, 100 and 1,000 virtual processors that all want the one processor:
// a decision, and a switch from one to the next with the decision in it. The check costs of test/worlds, which runs on the machine,
// holds the bars.
func BenchmarkWorlds(b *testing.B) {
	costs := worldsCosts(b)
	for _, n := range []int{10, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(costs[n][0], "decision-ticks")
			b.ReportMetric(costs[n][1], "switch-ticks")
		})
	}
}

// worldsCosts runs that check and returns a decision's and a switch's ticks by the number of worlds.
func worldsCosts(b *testing.B) map[int][2]float64 {
	b.Helper()
	cd := machine.BuildISO(b, machine.BuildImage(b, "./test/worlds"), "worlds=costs")
	p := machine.Boot(b, machine.Bochs{ISO: cd, MemMiB: 1024}, 5*time.Minute)
	end, err := p.WaitFor(b.Context(), worldsEnd)
	if err != nil {
		b.Fatal(err)
	}
	costs := map[int][2]float64{}
	for _, l := range p.Lines() {
		for _, m := range worldsCost.FindAllStringSubmatch(l, -1) {
			n, _ := strconv.Atoi(m[1])
			decision, _ := strconv.ParseFloat(m[2], 64)
			change, _ := strconv.ParseFloat(m[3], 64)
			costs[n] = [2]float64{decision, change}
		}
	}
	if end[1] != "1" || end[2] != "0" || len(costs) != 3 {
		b.Fatalf("the check doesn't hold, or didn't say what it measured: %q", p.Lines())
	}
	if err := p.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	return costs
}
