package output

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

type thing struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	Tags  []string          `json:"tags"`
	More  map[string]string `json:"more,omitempty"`
}

func print(t *testing.T, p *Printer, v any, table func(*Rows)) string {
	t.Helper()
	var b bytes.Buffer
	p.W = &b
	if err := p.Print(v, table); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestYAMLMeansWhatTheJSONMeans(t *testing.T) {
	in := thing{"yes", 3, []string{"", "007", "null", "a: b", "- c", "ü\x1b[31m", "line\nline", "\U000e0001\u202e"}, map[string]string{"on": "1e3"}}
	text := print(t, &Printer{Format: YAML}, in, nil)
	var out struct {
		Name  string
		Count int
		Tags  []string
		More  map[string]string
	}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(in)
	b, _ := json.Marshal(thing{out.Name, out.Count, out.Tags, out.More})
	if !bytes.Equal(a, b) {
		t.Errorf("%s became %s by\n%s", a, b, text)
	}
	if strings.ContainsAny(text, "{[") && strings.Contains(text, "{\"") {
		t.Errorf("looks like JSON:\n%s", text)
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("an escape reaches the terminal: %q", text)
	}
	// Generic readers that follow YAML 1.2's core schema must see text as well.
	var generic map[string]any
	if err := yaml.Unmarshal([]byte(text), &generic); err != nil || generic["name"] != "yes" || generic["tags"].([]any)[1] != "007" {
		t.Errorf("%v %v", generic, err)
	}
}

func TestTablesAreAlignedWithAndWithoutColour(t *testing.T) {
	table := func(r *Rows) {
		r.Header("name", "state", "id")
		r.Row("a-long-name", State("running"), 1)
		r.Row("ü", State("stopped"), "")
	}
	const want = "NAME         STATE    ID\na-long-name  running  1\nü            stopped  -\n"
	if got := print(t, &Printer{Format: Table}, nil, table); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	colored := print(t, &Printer{Format: Table, Color: true}, nil, table)
	if !strings.Contains(colored, "\x1b[32mrunning\x1b[0m  1") {
		t.Errorf("%q", colored)
	}
	for _, style := range []Style{Good, Dim, Bold, reset} {
		colored = strings.ReplaceAll(colored, string(style), "")
	}
	if colored != want {
		t.Errorf("without its colours: %q\nwant %q", colored, want)
	}
}

func TestWhatAHostSaysCannotDriveTheTerminal(t *testing.T) {
	hostile := "a\x1b[2Jb\r\nc\u009b2Jd\u202ee"
	got := print(t, &Printer{Format: Table, Color: true}, nil, func(r *Rows) {
		r.Row(hostile, Cell{hostile, Plain})
		r.Line("%s", hostile)
	})
	if strings.ContainsAny(strings.ReplaceAll(got, "\n", ""), "\x1b\r\u009b\u202e") || strings.Count(got, "\n") != 2 {
		t.Errorf("%q", got)
	}
	for _, f := range []Format{JSON, YAML} {
		if got := print(t, &Printer{Format: f}, map[string]string{"a": hostile}, nil); strings.ContainsAny(got, "\x1b\r\u009b") {
			t.Errorf("%s: %q", f, got)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{Size(0), "0 bytes"}, {Size(1023), "1023 bytes"}, {Size(1 << 20), "1MiB"}, {Size(3<<30 + 1<<29), "3.5GiB"},
		{Size(5 << 50), "5120TiB"}, {Age(59 * time.Second), "59s"}, {Age(3601 * time.Second), "1h00m"},
		{Age(49 * time.Hour), "2d01h"}, {Time(time.Time{}), ""}, {Time(time.Unix(1, 0)), "1970-01-01 00:00:01Z"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
