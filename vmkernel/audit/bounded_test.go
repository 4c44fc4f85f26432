package audit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/mod/sumdb/tlog"
)

func TestDroppedRecordsAreNamedAndTheRestStillVerifies(t *testing.T) {
	l := newLog(t)
	var m Memory
	for l.store.first() < 3*chunkRecords {
		calls(t, l, 500, "demo")
		if _, err := verify(t, &m, l); err != nil {
			t.Fatalf("at %d records, from %d on: %v", l.tree.n, l.store.first(), err)
		}
	}
	r, err := verifyFile(t, &Memory{}, exported(t, l))
	if err != nil || r.First != l.store.first() {
		t.Fatalf("%+v, %v", r, err)
	}
	var next int64
	for _, r := range records(t, l) {
		if r.Action != actionDrop {
			continue
		}
		if next != 0 && r.First != next {
			t.Errorf("records %d to %d were dropped after those to %d", r.First, r.Last, next-1)
		}
		if next = r.Last + 1; !strings.Contains(r.Detail, "not forwarded") {
			t.Errorf("%+v", r)
		}
	}
	if next != l.store.first() {
		t.Errorf("the log says that it dropped records up to %d: it has those from %d on", next, l.store.first())
	}
}

func TestShortRecordsNeverOutliveTheirHashes(t *testing.T) {
	l := newLog(t)
	for i := range 6 * maxRecords / 5 * 2 {
		l.event(&Entry{Action: "x"})
		if i%1000 == 0 {
			if _, err := l.Head(); err != nil {
				t.Fatalf("at %d: %v", l.tree.n, err)
			}
			if _, err := l.Inclusion(l.store.first(), l.tree.n); err != nil {
				t.Fatalf("at %d: %v", l.tree.n, err)
			}
		}
	}
	if n := l.tree.n - l.store.first(); n < maxRecords-chunkRecords || n > maxRecords {
		t.Errorf("%d records are kept", n)
	}
}

func TestHeadsThatClientsHaveGotStayProvable(t *testing.T) {
	var tr tree
	type head struct {
		n int64
		h tlog.Hash
	}
	var heads []head
	rnd := rand.New(rand.NewPCG(1, 2))
	add := func(n int) {
		for range n {
			tr.add(tlog.Hash{byte(tr.n), byte(tr.n >> 8), byte(tr.n >> 16), byte(tr.n >> 24)})
		}
	}
	for range maxHeads {
		add(1 + rnd.IntN(8000))
		heads = append(heads, head{tr.n, tr.root()})
		tr.handOut()
	}
	add(1 << 19)
	for range 50 {
		add(rnd.IntN(1000))
		root := tr.root()
		for _, h := range heads {
			p, err := tlog.ProveTree(tr.n, h.n, &tr)
			if err != nil {
				t.Fatalf("from %d to %d: %v", h.n, tr.n, err)
			}
			if err := tlog.CheckTree(p, tr.n, root, h.n, h.h); err != nil {
				t.Fatalf("from %d to %d: %v", h.n, tr.n, err)
			}
		}
	}
	if _, err := tlog.ProveTree(tr.n, heads[10].n+1, &tr); !errors.Is(err, ErrForgotten) {
		t.Errorf("a head that no client has got: %v", err)
	}
	// With more heads, some of the older are given up, and so are their hashes.
	pins := len(tr.pins)
	for range maxHeads {
		add(1)
		tr.handOut()
	}
	if len(tr.heads) > maxHeads || len(tr.pins) >= pins {
		t.Errorf("%d heads, %d hashes pinned after %d", len(tr.heads), len(tr.pins), pins)
	}
	if _, err := tlog.ProveTree(tr.n, heads[0].n, &tr); err != nil {
		t.Errorf("the oldest head: %v", err)
	}
}

func TestMemoryStaysWithinTheBudget(t *testing.T) {
	before := heap()
	l := newLog(t)
	fill := strings.Repeat("x", maxDetail)
	for i := range 4 * maxRecords {
		l.Refuse(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "x")
		l.Event(Entry{Action: "vm.crashed", On: fmt.Sprint("vm", i%5000), Detail: fill})
		id, err := l.Begin(Entry{Who: ada, Action: "/v1/x", Detail: fill[:i%maxDetail]})
		if err != nil {
			t.Fatal(err)
		}
		l.End(id, Outcome{Result: OK})
		if i%500 == 0 {
			if _, err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			l.tree.handOut()
		}
	}
	used := heap() - before
	t.Logf("%d records, %d pinned hashes: %d KiB", l.tree.n, len(l.tree.pins), used>>10)
	if used > Budget {
		t.Errorf("%d bytes, the budget is %d", used, Budget)
	}
	// What 2^40 records would take of hashes, and as many heads as there may be with pins at each level.
	hashes := int64(0)
	for level := range 40 {
		hashes += ring(level)
	}
	const pin = 2 * (8 + int64(unsafe.Sizeof(tlog.Hash{}))) // an entry of a map that is half full
	if total := hashes*tlog.HashSize + maxChunks*(chunkSize+4*chunkRecords) + maxHeads*2*20*pin; total > Budget {
		t.Errorf("at 2^40 records: %d bytes", total)
	}
	runtime.KeepAlive(l)
}

func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestAStrangerGetsOneRecordAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		began := time.Now()
		sent := int64(0)
		for time.Since(began) < 24*time.Hour {
			for i := range 30 {
				l.Refuse(fmt.Sprintf("[2001:db8:0:%x::%x]:5", i/2, i), "no certificate")
				sent++
			}
			l.Refuse("198.51.100.1:99", "revoked")
			sent++
			time.Sleep(10 * time.Second)
		}
		l.Close(t.Context())
		var n, count int64
		for _, r := range records(t, l) {
			if r.Kind != kindRefused {
				continue
			}
			n++
			count += r.Count
			told := r.Others
			for _, s := range r.Sources {
				told += s.Count
				if s.From != "198.51.100.1" && !strings.HasSuffix(s.From, "::/64") {
					t.Errorf("source %s", s.From)
				}
			}
			if len(r.Sources) > maxSources || told != r.Count {
				t.Errorf("%+v", r)
			}
			if i := len(r.Sources) - 1; i == 0 || r.Sources[0].Count < r.Sources[i].Count {
				t.Errorf("the sources aren't in order: %+v", r.Sources)
			}
		}
		if n > 32 || count != sent {
			t.Errorf("%d records of %d refusals, of %d", n, count, sent)
		}
	})
}

func TestPausingDoesntGetAStrangerMoreRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		for range 24 * 60 {
			l.Refuse("198.51.100.1:99", "no certificate")
			time.Sleep(minInterval + time.Second)
		}
		if n := l.Read(0, 1).Size; n > 40 {
			t.Errorf("%d records a day", n)
		}
		time.Sleep(7 * maxInterval)
		n := l.Read(0, 1).Size
		l.Refuse("198.51.100.1:99", "no certificate")
		time.Sleep(minInterval + time.Second)
		if l.Read(0, 1).Size != n+1 {
			t.Error("after quiet hours the interval isn't short again")
		}
	})
}

func TestAGuestThatRebootsInALoopIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		const loops = 20000
		for range loops {
			l.Event(Entry{Action: "vm.restarted", On: "demo"})
			time.Sleep(time.Second)
		}
		l.Event(Entry{Action: "vm.started", On: "other"}) // another VM's are recorded
		id, _ := l.Begin(start("demo"))
		for range 50 {
			l.Event(Entry{Action: "vm.started", On: "demo", Cause: id}) // and those that a caller has caused
		}
		l.Close(t.Context())
		var apart, counted, caused, other int64
		for _, r := range records(t, l) {
			switch {
			case r.Cause > 0:
				caused++
			case r.On == "other":
				other++
			case r.Action != "vm.restarted":
			case r.Kind == kindEvent:
				apart++
			case r.Kind == kindCounted:
				counted += r.Count
			}
		}
		if apart > eventBurst+loops/600+1 || apart+counted != loops || caused != 50 || other != 1 {
			t.Errorf("%d apart, %d counted of %d; %d caused, %d of the other", apart, counted, loops, caused, other)
		}
	})
}
