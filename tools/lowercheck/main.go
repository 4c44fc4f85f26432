// Lowercheck proves, from the built image, what the design says of the two halves:
//
//   - from where the lower half is entered, no call leads into the Go runtime but for moves and the
//     ends of failed checks, none goes where it can't be seen, and no Go pointer is stored
//   - what handles a fast exit touches no vector register but those that the entry saves
//   - nothing outside the lower half holds a privileged instruction, or calls into the lower half
//
// Usage: go run ./tools/lowercheck build/keel.raw
//
// The rule that it keeps: what it can't decode or find breaks the rules. `make test` runs it.
package main

import (
	"flag"
	"fmt"
	"os"

	"keel/tools/lowercheck/image"
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: lowercheck build/keel.raw")
		os.Exit(2)
	}
	im, err := image.Open(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "lowercheck:", err)
		os.Exit(1)
	}
	c := newChecker(im)
	lower, fast, upper := c.lowerHalf(), c.fast(), c.upperHalf()
	for _, b := range c.broken {
		fmt.Fprintln(os.Stderr, "lowercheck:", b)
	}
	fmt.Printf("lowercheck: %d functions reached in the lower half, %d on the path of fast exits, %d outside the lower half: %d broken rules\n",
		lower, fast, upper, len(c.broken))
	if len(c.broken) > 0 {
		os.Exit(1)
	}
}

func newChecker(im *image.Image) *checker {
	return &checker{im: im, code: map[*image.Func][]instruction{}}
}
