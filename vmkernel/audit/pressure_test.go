package audit

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The reserve: with the collector down an administrator can still read, stop VMs, shut down and repair.
func TestWithTheCollectorDownChangesAreRefusedAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		s.refuse = errors.New("connection refused")
		l := s.log(t)
		down := time.Now()
		time.Sleep(time.Second)
		changes := 0
		for ; ; changes++ {
			id, err := l.Begin(start("demo"))
			if err != nil {
				if !errors.Is(err, ErrCollector) || !strings.Contains(err.Error(), "logs.example:6514") ||
					!strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), down.UTC().Format(time.RFC3339)) {
					t.Fatal(err)
				}
				break
			}
			l.End(id, Outcome{Result: OK, Code: 200})
		}
		if changes < 2000 {
			t.Errorf("changes are refused after %d", changes)
		}
		call := func(class Class, action string) error {
			e := start("demo")
			e.Class, e.Action = class, action
			id, err := l.Begin(e)
			if err == nil {
				l.End(id, Outcome{Result: OK, Code: 200})
			}
			return err
		}
		for range 30000 { // a week of monitoring
			if err := call(ClassRead, "/v1/host/metrics"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
		}
		stops := 0
		for ; call(ClassStop, "/v1/vms/{vm}/shutdown") == nil; stops++ {
		}
		if stops < 500 {
			t.Errorf("%d VMs could be stopped", stops)
		}
		l.Event(Entry{Action: "vm.stopped", On: "demo"})
		repairs := 0
		for ; call(ClassRepair, "/v1/audit/forwarding") == nil; repairs++ {
		}
		if repairs < 100 {
			t.Errorf("the forwarding could be repaired %d times", repairs)
		}
		if err := call(ClassRead, "/v1/vms"); err != nil {
			t.Error(err)
		}
		for range 10000 {
			l.Event(Entry{Action: "vm.restarted", On: "demo"})
			l.Refuse("192.0.2.7:4", "no certificate")
		}
		if len(l.store.chunks) > maxChunks || l.store.first() != 0 {
			t.Errorf("%d chunks from record %d on", len(l.store.chunks), l.store.first())
		}
		t.Logf("%d changes, %d stops, %d repairs, %d chunks", changes, stops, repairs, len(l.store.chunks))

		s.mu.Lock()
		s.refuse = nil
		s.mu.Unlock()
		time.Sleep(time.Hour)
		if err := call(ClassChange, "/v1/vms"); err != nil {
			t.Error(err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.check(t, l)
		var reads, restarts, refused int64
		for _, r := range records(t, l) {
			switch {
			case r.Action == "/v1/host/metrics" && r.Kind == kindIntent:
				reads++
			case r.Action == "/v1/host/metrics":
				reads += r.Count
				if r.Name != "ada" || r.Role != "admin" {
					t.Errorf("%+v", r)
				}
			case r.Action == "vm.restarted" && r.Kind == kindEvent:
				restarts++
			case r.Action == "vm.restarted":
				restarts += r.Count
			case r.Kind == kindRefused:
				refused += r.Count
			}
		}
		if reads != 30000 || restarts != 10000 || refused != 10000 {
			t.Errorf("%d reads, %d restarts and %d refusals are told", reads, restarts, refused)
		}
	})
}

func TestUnconfirmedRecordsAreNeverDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		s.refuse = errors.New("connection refused")
		l := s.log(t)
		for range 2 * maxRecords { // more than calls and events are ever let to
			l.mu.Lock()
			l.event(&Entry{Action: "vm.stopped"})
			l.mu.Unlock()
		}
		if first := l.store.first(); first != 0 {
			t.Errorf("records before %d are gone", first)
		}
		s.mu.Lock()
		s.refuse = nil
		s.mu.Unlock()
		time.Sleep(time.Hour)
		calls(t, l, chunkRecords, "demo")
		if n := len(l.store.chunks); n > maxChunks {
			t.Errorf("%d chunks are left once all are confirmed", n)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.check(t, l)
	})
}

func TestConfirmedRecordsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		l := s.log(t)
		for l.store.first() < chunkRecords {
			calls(t, l, 50, "demo")
			time.Sleep(time.Second)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.check(t, l)
		for _, r := range records(t, l) {
			if r.Action == actionDrop && r.Detail != "confirmed by the collector" {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestAnotherCollectorGetsWhatTheFirstHasntConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, s := newSink(t), newSink(t)
		dead.refuse = errors.New("connection refused")
		var at atomic.Pointer[sink]
		at.Store(dead)
		l := newLog(t, func(c *Config) {
			c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				return at.Load().dial(ctx, network, address)
			}
		})
		calls(t, l, 10, "demo") // from before there was one
		if err := l.Forward(dead.collector()); err != nil {
			t.Fatal(err)
		}
		calls(t, l, 10, "demo")
		time.Sleep(time.Hour)
		at.Store(s)
		pending := l.forward.confirmed
		if err := l.Forward(s.collector()); err != nil {
			t.Fatal(err)
		}
		if l.forward.confirmed != pending {
			t.Errorf("records from %d on were pending, now those from %d on", pending, l.forward.confirmed)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.check(t, l)
		<-l.forward.done
	})
}

func TestWithoutACollectorNothingIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		s.refuse = errors.New("connection refused")
		l := s.log(t)
		for {
			id, err := l.Begin(start("demo"))
			if err != nil {
				break
			}
			l.End(id, Outcome{Result: OK})
		}
		if err := l.Forward(nil); err != nil {
			t.Fatal(err)
		}
		calls(t, l, maxRecords, "demo")
		if f := l.Forwarding(); f.Collector != nil || l.store.first() == 0 {
			t.Errorf("%+v, from %d on", f, l.store.first())
		}
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Without a collector who reads doesn't push out what others have done, and is in the log all the same.
func TestReadsDoNotPushOutWhatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		call := func(class Class, action string) {
			t.Helper()
			e := start("demo")
			e.Class, e.Action = class, action
			id, err := l.Begin(e)
			if err != nil {
				t.Fatal(err)
			}
			l.End(id, Outcome{Result: OK, Code: 200})
		}
		const changes, reads, after = 50, 5 * maxRecords, 10
		for range changes {
			call(ClassChange, "/v1/vms")
		}
		for range reads {
			call(ClassRead, "/v1/host/metrics")
			time.Sleep(time.Second)
		}
		for range after {
			call(ClassChange, "/v1/vms")
		}
		time.Sleep(2 * maxInterval)
		var did, read, one int64
		for _, r := range records(t, l) {
			switch {
			case r.Action == "/v1/vms" && r.Kind == kindIntent:
				did++
			case r.Action == "/v1/host/metrics" && r.Kind == kindIntent:
				read++
				one++
			case r.Action == "/v1/host/metrics":
				read += r.Count
			}
		}
		if l.store.first() != 0 || did != changes+after || read != reads || one < 5000 {
			t.Errorf("from record %d on %d changes are there, and %d reads told of, %d of them one by one", l.store.first(), did, read, one)
		}
		if _, err := verify(t, &Memory{}, l); err != nil {
			t.Error(err)
		}

		// Changes push out whatever is older, and once that is only reads new ones take its place.
		for i := 0; l.crowded(); i++ {
			if call(ClassChange, "/v1/vms"); i > chunkRecords {
				t.Fatal("changes don't make room")
			}
		}
		size, first := l.tree.n, l.store.first()
		for l.store.first() == first {
			call(ClassRead, "/v1/vms")
		}
		if l.tree.n-size < chunkRecords/2 {
			t.Errorf("%d records of reads", l.tree.n-size)
		}
		if _, err := verify(t, &Memory{}, l); err != nil {
			t.Error(err)
		}
	})
}
