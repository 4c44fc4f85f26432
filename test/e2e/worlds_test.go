package e2e

import (
	"fmt"
	"os"
	"path/filepath"
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

// worldsHeld are the checks that hold, by the number of processors, in Bochs: all of them on one. What isn't listed on two and four
// isn't known to hold there.
var worldsHeld = map[int]string{
	1: "tickless,shares,limit,poollimit,affinity,reservation,flood,interruptsoff,control,refusals,destroy,counters,skew,pause,costs,poolcosts,churn events=1000",
	2: "tickless,shares,limit,poollimit,affinity,exclusive,reservation,flood,interruptsoff,pit,control,refusals,destroy,counters,skew,pause,costs",
	4: "tickless,shares,limit,poollimit,affinity,exclusive,reservation,flood,interruptsoff,pit,control,refusals,destroy,counters,skew,pause",
}

// TestWorlds holds the scheduler to what it promises on the machine, in Bochs, whose time is its own: shares, reservations, limits,
// pacing, pauses, kills, and worlds made and ended at random. KEEL_WORLDS=NAME runs that check only, on 1, 2 and 4 processors;
// what follows the name, as in KEEL_WORLDS="churn events=100000", is for the program.
func TestWorlds(t *testing.T) {
	t.Parallel()
	image := machine.BuildImage(t, "./test/worlds")
	for _, cpus := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("Bochs/%d", cpus), func(t *testing.T) {
			words := worldsHeld[cpus]
			if only := os.Getenv("KEEL_WORLDS"); only != "" {
				words = only
			}
			t.Parallel()
			runWorlds(t, machine.Bochs{ISO: machine.BuildISO(t, image, "worlds="+words), CPUs: cpus, MemMiB: 1024}, 20*time.Minute)
		})
	}
}

// TestBochsRunsAreEqual: else a check that holds by little would hold today and not tomorrow.
func TestBochsRunsAreEqual(t *testing.T) {
	if found, _ := filepath.Glob(machine.StandStill); len(found) == 0 && os.Getenv(machine.RequireEnv) == "" {
		t.Skip("libfaketime is not installed (make setup installs it)")
	}
	medium := machine.BuildISO(t, machine.BuildImage(t, "./test/worlds"), "worlds=flood") // where random numbers decide much
	run := func(t *testing.T) (said string) {
		t.Run("run", func(t *testing.T) {
			p := machine.Boot(t, machine.Bochs{ISO: medium}, 3*time.Minute)
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			said = strings.Join(p.Lines(), "\n")
		})
		return said
	}
	t.Setenv(machine.SeedEnv, "0")
	one, same := run(t), run(t)
	t.Setenv(machine.SeedEnv, "1")
	if other := run(t); one != same || one == other {
		t.Errorf("runs said\n%s\n\nand\n%s\n\nand with other random numbers\n%s", one, same, other)
	}
}

// TestWorldsUnderAMDV runs checks where exits are AMD-V's, and time is the host's; KEEL_WORLDS as above. So what shares are worth
// there is reported only: the test fails if the program does otherwise.
func TestWorldsUnderAMDV(t *testing.T) {
	image := machine.BuildImage(t, "./test/worlds")
	checks := []string{"counters", "refusals", "churn events=5000"}
	limit := 5 * time.Minute
	only := os.Getenv("KEEL_WORLDS")
	if only != "" {
		checks, limit = []string{only}, time.Hour
	}
	run := func(t *testing.T, check string, cpus int) {
		runWorlds(t, machine.QEMU{Kernel: image, CPUs: cpus, MemMiB: 1024, Args: "worlds=" + check}, limit)
	}
	for _, check := range checks {
		t.Run(check, func(t *testing.T) { run(t, check, 2) })
	}
	if only != "" {
		return
	}
	for _, cpus := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("shares on %d", cpus), func(t *testing.T) { run(t, "shares reported", cpus) })
	}
}

func runWorlds(t *testing.T, m machine.Machine, limit time.Duration) {
	runChecks(t, m, limit, "worlds|", worldsEnd, worldsFail)
}

// runChecks runs a program that says what its checks found, in lines that begin with prefix, and at last, as end matches, how
// many passed and how many failed.
func runChecks(t *testing.T, m machine.Machine, limit time.Duration, prefix string, end, fail *regexp.Regexp) {
	t.Helper()
	p := machine.Boot(t, m, limit)
	p.FailOn(fail)
	match, err := p.WaitFor(t.Context(), end)
	for _, line := range p.Lines() {
		if strings.HasPrefix(line, prefix) {
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
