// Surface prints what there is to attack: what runs in ring 0, counted in the built image, and what
// a guest can reach, from the tables in the code by which it is answered.
//
// Usage: go run ./tools/surface [-summary] -image build/keel.raw (from the top of the source: `make
// surface`)
//
// The rule that it keeps: nothing is listed here by hand that the code has a table of; what has
// none (see msr.go) is read from the source that answers it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

func main() {
	file := flag.String("image", "build/keel.raw", "kernel `file` as go build leaves it")
	short := flag.Bool("summary", false, "print what README shows of it")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	err := run(out, *file, *short)
	out.Flush()
	if err != nil {
		fmt.Fprintln(os.Stderr, "surface:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, file string, short bool) error {
	groups, err := ring0(file)
	if err != nil {
		return err
	}
	r, err := reach(".")
	if err != nil {
		return err
	}
	if short {
		return printSummary(w, groups, r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printRing0(t, groups)
	r.print(t)
	return t.Flush()
}
