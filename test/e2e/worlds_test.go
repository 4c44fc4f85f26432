package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
)

// What the program worlds and the lower half say, see test/worlds.
var (
	worldsEnd  = regexp.MustCompile(`^worlds\| (\d+) passed, (\d+) failed$`)
	worldsFail = regexp.MustCompile(`^level=ERROR|^fatal error:|^panic:`)
)

// TestWorlds holds the scheduler to what it promises on the machine, in Bochs, whose time is its own: shares, reservations, limits,
// pacing, pauses, kills, and worlds made and ended at random. KEEL_WORLDS=NAME runs that check only.
func TestWorlds(t *testing.T) {
	image := machine.BuildImage(t, "./test/worlds")
	for _, cpus := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("Bochs/%d", cpus), func(t *testing.T) {
			t.Parallel() // a Bochs uses one processor, and its time isn't the host's
			words := ""
			if only := os.Getenv("KEEL_WORLDS"); only != "" {
				words = "worlds=" + only
			}
			runWorlds(t, machine.Bochs{ISO: machine.BuildISO(t, image, words), CPUs: cpus, MemMiB: 1024}, 20*time.Minute)
		})
	}
}

// TestWorldsChurnUnderAMDV makes and ends worlds at random where exits are AMD-V's, and time is the host's.
func TestWorldsChurnUnderAMDV(t *testing.T) {
	image := machine.BuildImage(t, "./test/worlds")
	for _, check := range []string{"churn events=20000", "counters", "refusals"} {
		t.Run(check, func(t *testing.T) {
			runWorlds(t, machine.QEMU{Kernel: image, CPUs: 2, MemMiB: 1024, Args: "worlds=" + check}, 5*time.Minute)
		})
	}
}

func runWorlds(t *testing.T, m machine.Machine, limit time.Duration) {
	p := machine.Boot(t, m, limit)
	p.FailOn(worldsFail)
	match, err := p.WaitFor(t.Context(), worldsEnd)
	for _, line := range p.Lines() {
		if strings.HasPrefix(line, "worlds|") {
			t.Log(line)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if match[1] == "0" || match[2] != "0" {
		t.Errorf("%s checks passed, %s failed", match[1], match[2])
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
