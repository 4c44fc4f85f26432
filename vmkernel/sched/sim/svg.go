package sim

import (
	"bufio"
	"fmt"
	"io"
)

var colours = []string{"#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"}

// SVG draws what the groups without groups below them used over time, stacked; a dashed line is the
// number of processors.
func (r *Result) SVG(w io.Writer) error {
	const width, height, left, top, legend = 900.0, 420.0, 60.0, 30.0, 200.0
	out := bufio.NewWriter(w)
	sc := r.Scenario
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", left+width+legend, top+height+50)
	fmt.Fprintln(out, `<rect width="100%" height="100%" fill="white"/>`)
	x := func(ns uint64) float64 {
		return left + width*float64(ns-sc.Warmup)/float64(sc.Length-sc.Warmup)
	}
	y := func(cpus float64) float64 { return top + height*(1-cpus/float64(sc.CPUs)/1.05) }
	var shown []int
	inner := map[int]bool{}
	for _, g := range r.Groups {
		inner[g.Parent] = true
	}
	for i := range r.Groups {
		if !inner[i] && len(shown) < 40 {
			shown = append(shown, i)
		}
	}
	base := make([]float64, len(r.Times))
	for k, i := range shown {
		colour := colours[k%len(colours)]
		r.area(out, colour, i, base, x, y)
		ly := top + 18*float64(k)
		g := &r.Groups[i]
		fmt.Fprintf(out, `<rect x="%.1f" y="%.1f" width="12" height="12" fill="%s"/><text x="%.1f" y="%.1f">%s: %.1f%% (ideal %.1f%%)</text>`+"\n",
			left+width+10, ly, colour, left+width+27, ly+10, escape(g.Name), 100*g.Used, 100*g.Ideal)
	}
	for i := 0; i <= 4; i++ {
		v := float64(sc.CPUs) * float64(i) / 4
		fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="end">%.3g%%</text>`+"\n", left-6, y(v)+4, 100*v)
		t := sc.Warmup + (sc.Length-sc.Warmup)*uint64(i)/4
		fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="middle">%.3g s</text>`+"\n", x(t), top+height+18, float64(t)/1e9)
	}
	fmt.Fprintf(out, `<path d="M%.1f %.1f H%.1f" stroke="black" stroke-dasharray="4 3"/>`+"\n", left, y(float64(sc.CPUs)), left+width)
	fmt.Fprintf(out, `<path d="M%.1f %.1f V%.1f H%.1f" stroke="black" fill="none"/>`+"\n", left, top, top+height, left+width)
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f">processor time by group, 100%% is one of %d processors</text>`+"\n</svg>\n", left, top-12, sc.CPUs)
	return out.Flush()
}

// area draws what a group used, on top of base, to which that is added.
func (r *Result) area(out io.Writer, colour string, group int, base []float64, x func(uint64) float64, y func(float64) float64) {
	if len(r.Times) == 0 {
		return // it was too short
	}
	fmt.Fprintf(out, `<path fill="%s" fill-opacity="0.85" d="M`, colour)
	for n, t := range r.Times {
		fmt.Fprintf(out, "%.1f %.1f L", x(t), y(base[n]))
	}
	for n := len(r.Times) - 1; n >= 0; n-- {
		base[n] += r.Samples[n][group]
		fmt.Fprintf(out, "%.1f %.1f", x(r.Times[n]), y(base[n]))
		if n > 0 {
			fmt.Fprint(out, " L")
		}
	}
	fmt.Fprintln(out, `Z"/>`)
}

func escape(s string) string {
	var b []byte
	for i := range len(s) {
		switch c := s[i]; {
		case c == '<' || c == '>' || c == '&' || c == '"' || c < ' ':
			b = append(b, '.')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}
