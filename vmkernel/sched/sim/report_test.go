package sim

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// TestReport: the table has a line for each group and what it should have got, and the plot is XML that names each group without
// groups below it, and draws it, however short the simulation was.
func TestReport(t *testing.T) {
	for _, length := range []string{"300ms", "101ms"} {
		r := simulate(t, "cpus 2\nlength "+length+"\nwarmup 100ms\ngroup pool shares=3000 limit=150%\ngroup in<ner parent=pool\ngroup b reservation=20%\nworld in<ner count=2\nworld b count=2\n")
		var table, plot bytes.Buffer
		if err := r.Table(&table); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(table.String()), "\n")
		if len(lines) != 5 || !strings.Contains(lines[0], "ideal") || !strings.Contains(lines[4], "2 processors, ") {
			t.Fatalf("%s", &table)
		}
		for i, want := range [][]string{{"pool", "3000", "150.0%"}, {"in<ner", "1000", "150.00%"}, {"b", "20.0%", "50.00%"}} {
			for _, w := range want {
				if !strings.Contains(" "+lines[1+i]+" ", " "+w+" ") {
					t.Errorf("no %s in %q", w, lines[1+i])
				}
			}
		}
		if err := r.SVG(&plot); err != nil {
			t.Fatal(err)
		}
		areas, text := 0, ""
		for d := xml.NewDecoder(&plot); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch x := token.(type) {
			case xml.StartElement:
				for _, a := range x.Attr {
					if x.Name.Local == "path" && a.Name.Local == "d" && strings.HasSuffix(a.Value, "Z") {
						areas++
						if !strings.Contains(a.Value, " L") {
							t.Errorf("a path without a line: %q", a.Value)
						}
					}
				}
			case xml.CharData:
				text += string(x)
			}
		}
		if want := 2 * min(len(r.Times), 1); areas != want || !strings.Contains(text, "in.ner: ") || !strings.Contains(text, "b: ") || strings.Contains(text, "pool: ") {
			t.Errorf("%s: %d areas, want %d; %q", length, areas, want, text)
		}
	}
}
