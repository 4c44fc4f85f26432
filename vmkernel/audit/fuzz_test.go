package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// fixed makes logs the same in each of the fuzzer's processes.
func fixed(c *Config) { c.Now = func() time.Time { return time.Unix(1, 0) } }

// A file that passes is one that the host has signed: whatever is changed in it, its records are still those.
func FuzzExport(f *testing.F) {
	l := newLog(f, fixed)
	calls(f, l, 4, "demo")
	want := records(f, l)
	e, err := Fetch(f.Context(), host{l}, l.signerKey())
	if err != nil {
		f.Fatal(err)
	}
	var file bytes.Buffer
	if err := e.Write(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	e.Head.First, e.Record = 4, e.Record[4:]
	e.Head.Prefix, _ = l.tree.prefix(4)
	file.Reset()
	e.Write(&file)
	f.Add(bytes.Clone(file.Bytes()))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ReadExport(bytes.NewReader(data))
		if err != nil {
			return
		}
		var m Memory
		r, err := m.Verify(t.Context(), e, nil, time.Now())
		if err != nil {
			return
		}
		if r.Fingerprint != l.fingerprint(t) {
			return // signed by whoever made the input
		}
		if int64(len(e.Record)) != int64(len(want))-r.First {
			t.Fatalf("%d records from %d on pass", len(e.Record), r.First)
		}
		for i, line := range e.Record {
			if got, err := ParseRecord(line); err != nil || got.Seq != int64(i)+r.First || got.Action != want[got.Seq].Action {
				t.Fatalf("%s passes: %v", line, err)
			}
		}
		var again bytes.Buffer
		if err := e.Write(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadExport(&again); err != nil {
			t.Fatalf("what was read can't be read again once written: %v", err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	l := newLog(f, fixed)
	signed, err := l.Checkpoint()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("keel/audit/a/b\n1\n" + strings.Repeat("A", 43) + "=\ntime 2026-11-28T18:51:23.000000Z\nmore\n\n— a b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCheckpoint(data)
		if err != nil {
			return
		}
		if host, boot, err := SplitOrigin(c.Origin); err != nil || host == "" || boot == "" {
			t.Fatalf("origin %q", c.Origin)
		}
		opened, err := OpenCheckpoint(data, func(o string) (note.Verifier, error) { return NewVerifier(o, l.signerKey()) })
		if err == nil && (opened.Tree != l.tree.head() || opened.Origin != l.origin) {
			t.Fatalf("%s passes", data)
		}
	})
}

func FuzzCollector(f *testing.F) {
	ca := newAuthority(f)
	b, _ := json.Marshal(Collector{Address: "logs.example", Name: "a", CA: ca.pem, Pin: "SHA256:" + strings.Repeat("A", 43)})
	f.Add(b)
	f.Add([]byte(`{"address":"[::1]:99","pin":"SHA256:AAAA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCollector(data)
		if err != nil {
			return
		}
		config := c.config(nil, time.Now)
		if config.InsecureSkipVerify && config.VerifyConnection == nil || config.ServerName == "" {
			t.Fatalf("%+v would let anybody be the collector", c)
		}
		b, _ := json.Marshal(c)
		again, err := ParseCollector(b)
		if err != nil || *again != *c {
			t.Fatalf("%s: %v", b, err)
		}
	})
}

func FuzzMemory(f *testing.F) {
	l := newLog(f, fixed)
	var m Memory
	if _, err := verify(f, &m, l); err != nil {
		f.Fatal(err)
	}
	b, _ := json.Marshal(m)
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMemory(data)
		if err != nil {
			return
		}
		if (m.Last() == nil) != (len(m.Boots) == 0) {
			t.Fatal("the last head is lost")
		}
		verify(t, m, l)
	})
}

// Whatever callers are called, a record is one line of ASCII that says so.
func FuzzRecord(f *testing.F) {
	f.Add("ada", "/v1/vms", "de\"mo", "x\xff\u2028")
	f.Fuzz(func(t *testing.T, name, action, on, detail string) {
		e := encoder{b: []byte{0}}
		e.begin(5, time.Unix(0, 0), kindEvent)
		e.entry(&Entry{Who: Who{Name: name}, Action: action, On: on, Detail: detail})
		e.end()
		line := e.b[1:]
		for _, c := range line {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("%q", line)
			}
		}
		r, err := ParseRecord(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range [][2]string{{name, r.Name}, {action, r.Action}, {on, r.On}, {detail, r.Detail}} {
			want := string([]rune(x[0])) // each byte that isn't UTF-8 is U+FFFD
			if !strings.HasPrefix(want, x[1]) || len(x[0]) <= 10 && x[1] != want {
				t.Fatalf("%q became %q", x[0], x[1])
			}
			if !utf8.ValidString(x[1]) {
				t.Fatalf("%q", x[1])
			}
		}
		if at, kind := stamp(line); at != "1970-01-01T00:00:00.000000Z" || kind != kindEvent {
			t.Fatalf("%s, %s", at, kind)
		}
	})
}
