package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"keel/tools/lowercheck/image"
)

// printSummary prints what README shows: all of it in a few lines.
func printSummary(w io.Writer, groups []group, r *reached) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, ring0Title)
	sum := part{name: "all"}
	for _, g := range groups {
		p := g.total()
		p.name = string(g.half)
		sum.add(p)
		printPart(t, p)
	}
	printPart(t, sum)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", r.portsTitle())
	fmt.Fprint(w, "Addresses outside its memory: ")
	for i, m := range r.mmio {
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprint(w, m.Name)
	}
	fmt.Fprintf(w, "; all others read ones\n%s\n%s\nHypercalls: %s\n", r.msrsTitle(), r.leavesTitle(), hypercalls)
	return nil
}

const ring0Title = "What runs in ring 0\tfunctions\tcode bytes\tlines of source"

// printPart prints a row of the table of that title.
func printPart(w io.Writer, p part) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", p.name, p.functions, p.bytes, p.lines)
}

func printRing0(w io.Writer, groups []group) {
	fmt.Fprintln(w, ring0Title)
	sum := part{name: "all"}
	for _, g := range groups {
		t := g.total()
		t.name = string(g.half)
		sum.add(t)
		printPart(w, t)
		if g.half == image.Runtime {
			continue // a hundred packages that nobody reads here
		}
		for _, p := range g.parts {
			p.name = "  " + p.name
			printPart(w, p)
		}
	}
	printPart(w, sum)
}
