// Schedsim simulates a machine under Keel's processor policy (vmkernel/sched), and says what each group
// of worlds got, beside what it should have got.
//
// Usage: go run ./tools/schedsim [-svg FILE] [-trace FILE] SCENARIO
//
// The rule: the same scenario gives the same result on every machine.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"keel/vmkernel/sched/sim"
)

const help = `schedsim simulates a machine under Keel's processor policy.

  schedsim [-svg FILE] [-trace FILE] SCENARIO   run a scenario (a file, - for standard input), print a table
  schedsim -demo                                print a scenario to begin with
  schedsim -replay FILE                         execute a recorded trace again: every decision must be the same
  schedsim -churn 10000000                      do random things to a machine and check that nothing is lost

A scenario has a line for each thing; # begins a comment:

  cpus 4                                  processors
  length 2s                               of the simulation
  warmup 200ms                            at its beginning, not counted
  seed 1                                  of the random numbers
  ipi 1us                                 until a kick is felt
  group web shares=2000 reservation=50% limit=200% parent=pools cosched
  group late at=20s                       created then, its worlds by at ... add
  group system system limit=20%           Keel's own: goes before guests up to its limit, is paced above it
  world web count=4                       four worlds that spin; cosched bounds how far they drift apart
  world web run=300us sleep=1ms           run and sleep, with jitter=50% of both
  world web run=20us ring                 wake the next of them and sleep until woken
  world web run=500us fork                end as they create another
  world web run=50us yield                spin and yield
  world web affinity=0-1,3                run on these processors only
  world web home=0-3                      have their memory next to these, and run elsewhere only where they would wait longer
  exclusive 3 web                         gives a processor to the worlds of web with such an affinity
  at 1s set web shares=500                also: pause web, resume web, kill web, add web count=2

Percentages are of one processor. The table: "ideal" is what a machine that can be divided at will would
give (it doesn't know affinity), "error" the difference in parts of that, "max wait" the longest time that
a world waited for a processor, "wake" from waking to running, "skew" how far a vCPU was ahead of one of
the same group that waited.

Flags:
`

const demo = `# Three saturating VMs with shares 1 : 2 : 4, a pool with a reservation, and Keel's own threads.
cpus 4
length 3s
warmup 100ms
group system system limit=40%
group a shares=1000 cosched
group b shares=2000 cosched
group c shares=4000 cosched
group pool shares=500 reservation=100%
group p1 parent=pool shares=1000
group p2 parent=pool shares=3000 limit=50%
world system count=8 run=60us sleep=2ms jitter=90%
world a count=2
world b count=3
world c count=5
world p1 count=2
world p2 count=2
at 1s set a shares=4000
at 2s pause b
`

func main() {
	svg := flag.String("svg", "", "write a plot of what the groups got over time to `FILE`")
	trace := flag.String("trace", "", "record all calls and decisions in `FILE`")
	replay := flag.String("replay", "", "execute the trace in `FILE` again")
	churn := flag.Int("churn", 0, "do `N` random things")
	cpus := flag.Int("cpus", 8, "processors of -churn")
	worlds := flag.Int("worlds", 100, "worlds of -churn")
	seed := flag.Uint64("seed", 1, "random numbers of -churn")
	every := flag.Int("check", 1000, "with -churn, look at all invariants each `N` things")
	showDemo := flag.Bool("demo", false, "print a scenario")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), help)
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	switch {
	case *showDemo:
		fmt.Print(demo)
	case *replay != "":
		err = runReplay(*replay)
	case *churn > 0:
		start := time.Now()
		var calls int
		if calls, err = sim.Churn(*seed, *cpus, *worlds, *churn, *every, nil); err == nil {
			fmt.Printf("%d random things, %d calls on %d processors: nothing lost, nothing left (%.1f s)\n", *churn, calls, *cpus, time.Since(start).Seconds())
		}
	case flag.NArg() == 1:
		err = run(flag.Arg(0), *svg, *trace)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schedsim:", err)
		os.Exit(1)
	}
}

func runReplay(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	calls, err := sim.Replay(f)
	if err == nil {
		fmt.Printf("%d calls, all as recorded\n", calls)
	}
	return err
}

func run(file, svg, trace string) error {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	sc, err := sim.Parse(in)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var out io.Writer
	if trace != "" {
		f, err := os.Create(trace)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	r, err := sim.Run(sc, out)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if svg != "" {
		f, err := os.Create(svg)
		if err != nil {
			return err
		}
		if err := r.SVG(f); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if err := r.Table(os.Stdout); err != nil {
		return err
	}
	if r.Check != "" {
		return fmt.Errorf("an invariant is broken: %s", r.Check)
	}
	return nil
}
