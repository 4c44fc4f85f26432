package audit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

func newLog(t testing.TB, change ...func(*Config)) *Log {
	t.Helper()
	c := Config{Host: "keel-1", Boot: "b007", Version: "test", Key: testKey}
	for _, f := range change {
		f(&c)
	}
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var ada = Who{Name: "ada", Role: "admin", Serial: "1f", Issuer: "SHA256:abc"}

func start(on string) Entry {
	return Entry{Who: ada, From: "192.0.2.7:4711", Method: "POST", Action: "/v1/vms/{vm}/start", On: on}
}

// records returns all records that the log has, parsed.
func records(t testing.TB, l *Log) []Record {
	t.Helper()
	var all []Record
	for from := int64(0); ; {
		p := l.Read(from, maxPage)
		if len(p.Records) == 0 {
			return all
		}
		for i, data := range p.Records {
			r, err := ParseRecord(data)
			if err != nil {
				t.Fatalf("record %d: %v\n%s", p.From+int64(i), err, data)
			}
			all = append(all, *r)
		}
		from = p.From + int64(len(p.Records))
	}
}

func TestACallIsAnIntentAndAnOutcomeUnderOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		id, err := l.Begin(start("demo"))
		if err != nil {
			t.Fatal(err)
		}
		if got := records(t, l); len(got) != 2 || got[1].Kind != kindIntent {
			t.Fatalf("before the act takes effect the log has %+v", got)
		}
		time.Sleep(1500 * time.Microsecond)
		l.End(id, Outcome{Result: Failed, Code: 409, Detail: `it "runs"`})
		l.End(id, Outcome{Result: OK}) // too late
		got := records(t, l)
		if len(got) != 3 {
			t.Fatalf("%d records", len(got))
		}
		i, o := got[1], got[2]
		if i.Name != "ada" || i.Role != "admin" || i.Serial != "1f" || i.Issuer != "SHA256:abc" || i.From != "192.0.2.7:4711" ||
			i.Method != "POST" || i.Action != "/v1/vms/{vm}/start" || i.On != "demo" || i.Class != "change" || i.ID != int64(id) {
			t.Errorf("intent: %+v", i)
		}
		if o.Kind != kindOutcome || o.ID != int64(id) || o.Result != "failed" || o.Code != 409 || o.Micros != 1500 || o.Detail != `it "runs"` {
			t.Errorf("outcome: %+v", o)
		}
		if d := o.Time.Sub(i.Time); d != 1500*time.Microsecond {
			t.Errorf("the outcome comes %v after the intent", d)
		}
	})
}

func TestTheFirstRecordNamesTheBoot(t *testing.T) {
	r := records(t, newLog(t))[0]
	if r.Action != "audit.begin" || r.On != "keel/audit/keel-1/b007" || r.Detail != "test" {
		t.Errorf("%+v", r)
	}
}

func TestRecordsPassJSONUnchangedWhateverCallersSend(t *testing.T) {
	l := newLog(t)
	nasty := "\"\\\x00\x1b[2J\u202e<&>\xff\U0001f600é\n\u2028\x7f"
	id, _ := l.Begin(Entry{Who: Who{nasty, nasty, nasty, nasty}, From: nasty, Method: nasty, Action: nasty, On: nasty, Detail: nasty})
	l.End(id, Outcome{Result: Result(nasty), Detail: nasty})
	for _, r := range l.Read(0, 10).Records {
		for _, c := range r {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("byte %#x in %s", c, r)
			}
		}
		out, err := json.Marshal([]json.RawMessage{r})
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != "["+string(r)+"]" {
			t.Errorf("encoding/json makes %s of %s", out, r)
		}
	}
	got := records(t, l)[1]
	if want := strings.ToValidUTF8(nasty, "\ufffd"); got.On != want {
		t.Errorf("%q became %q", want, got.On)
	}
}

func TestTheLongestRecordFitsItsBound(t *testing.T) {
	for _, c := range []string{"x", "\x01", "é", "\U0001f600", `"`} {
		long := strings.Repeat(c, 2000)
		l := newLog(t, func(c *Config) { c.Host, c.Boot = strings.Repeat("h", 63), strings.Repeat("b", 63) })
		l.tree.n = 1 << 47 // the longest numbers
		l.store.chunks[0].first = l.tree.n - 1
		id, _ := l.Begin(Entry{Who: Who{long, long, long, long}, From: long, Method: long, Action: long, On: long, Detail: long})
		l.End(id, Outcome{Result: Result(long), Code: 599, Detail: long})
		l.Event(Entry{Who: Who{long, long, long, long}, From: long, Method: long, Action: long, On: long, Detail: long, Cause: id})
		for i := range 2 * maxSources {
			l.Refuse(fmt.Sprintf("[2001:db8:aaaa:%x::1]:443", 0xaaa0+i), long)
		}
		l.refused.n, l.refused.others = 1<<62, 1<<62
		for _, r := range l.refused.sources {
			r.n = 1 << 62
		}
		l.mu.Lock()
		l.flushCounted()
		l.mu.Unlock()
		longest := 0
		for seq := l.tree.n - 4; seq < l.tree.n; seq++ {
			r := l.store.find(seq).record(seq)
			longest = max(longest, len(r))
			if o := bytes.Contains(r, []byte(`"kind":"outcome"`)); o && len(r) > chunkSize/outcomes {
				t.Errorf("an outcome of %d bytes", len(r))
			}
			if m := l.recordMessage(nil, seq, r); len(m) > 2048+len("1234 ") {
				t.Errorf("a message of %d bytes", len(m))
			}
		}
		if longest > MaxRecord {
			t.Errorf("a record of %d bytes", longest)
		}
	}
}

func TestCallersAtOnceGetIDsOfTheirOwn(t *testing.T) {
	l := newLog(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				id, err := l.Begin(start("demo"))
				if err != nil {
					t.Error(err)
				}
				l.Checkpoint()
				l.End(id, Outcome{Result: OK})
			}
		})
	}
	wg.Wait()
	intents, outcomes := map[int64]bool{}, map[int64]bool{}
	for i, r := range records(t, l) {
		if r.Seq != int64(i) {
			t.Fatalf("record %d says that it is %d", i, r.Seq)
		}
		switch r.Kind {
		case kindIntent:
			intents[r.ID] = true
		case kindOutcome:
			if !intents[r.ID] || outcomes[r.ID] {
				t.Fatalf("an outcome of call %d without an intent, or a second one", r.ID)
			}
			outcomes[r.ID] = true
		}
	}
	if len(outcomes) != 800 {
		t.Errorf("%d calls", len(outcomes))
	}
}

func TestWaitReturnsWhenTheLogGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		n := 0
		go func() {
			for l.Wait(t.Context(), int64(n+1)) == nil {
				n++
			}
		}()
		for range 3 {
			synctest.Wait()
			l.Event(Entry{Action: "vm.started", On: "demo"})
		}
		synctest.Wait()
		if n != 3 {
			t.Errorf("it returned %d times", n)
		}
		l.Close(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Wait(ctx, 1000); !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestCloseEndsWhatIsOpenAndTakesNothingMore(t *testing.T) {
	l := newLog(t)
	id, _ := l.Begin(start("demo"))
	l.Refuse("192.0.2.1:5", "no certificate")
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	all := records(t, l)
	for _, r := range all {
		kinds = append(kinds, r.Kind)
	}
	if got := strings.Join(kinds, " "); got != "event intent refused outcome event" || all[3].ID != int64(id) || all[3].Result != "interrupted" {
		t.Errorf("%s; %+v", got, all[3])
	}
	if _, err := l.Begin(start("demo")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	l.End(id, Outcome{})
	l.Event(Entry{Action: "vm.started"})
	l.Refuse("192.0.2.1", "")
	if n := l.Read(0, 100).Size; n != 5 {
		t.Errorf("%d records", n)
	}
}

func TestNamesAreChecked(t *testing.T) {
	for _, c := range []Config{{Boot: "b", Key: testKey}, {Host: "a b", Boot: "b", Key: testKey}, {Host: "a", Boot: "b/c", Key: testKey},
		{Host: "a", Boot: "b", Key: unusable{}}} {
		if _, err := New(c); err == nil {
			t.Errorf("%q, %q: no error", c.Host, c.Boot)
		}
	}
}

type unusable struct{ crypto.Signer }

func (unusable) Public() crypto.PublicKey { return "a text" }

func BenchmarkCall(b *testing.B) {
	l := newLog(b)
	e, o := start("demo"), Outcome{Result: OK, Code: 200}
	b.ReportAllocs()
	for b.Loop() {
		id, _ := l.Begin(e)
		l.End(id, o)
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	l := newLog(b)
	for b.Loop() {
		l.Event(Entry{Action: "vm.started"})
		if _, err := l.Checkpoint(); err != nil {
			b.Fatal(err)
		}
	}
}
