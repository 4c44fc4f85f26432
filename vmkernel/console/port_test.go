package console

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// A line is a Receiver with room for 16 bytes, which read drains.
type line struct {
	mu   sync.Mutex
	port *Port
	fifo []byte
	off  bool // takes nothing
}

func (l *line) Poke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
}

func (l *line) fill() {
	if l.off {
		return
	}
	var b [16]byte
	l.fifo = append(l.fifo, b[:l.port.Pull(b[:16-len(l.fifo)])]...)
}

func (l *line) read() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.fifo
	l.fifo = nil
	if len(got) == 16 {
		l.fill()
	}
	return got
}

func connected() (*Port, *line) {
	p := &Port{}
	l := &line{port: p}
	p.Connect(l)
	return p, l
}

func put(p *Port, s string) {
	for _, b := range []byte(s) {
		p.Put(b)
	}
}

func log(p *Port) string {
	text, _ := p.Log(0)
	return string(text)
}

func TestLogKeepsTheLastBytes(t *testing.T) {
	p, l := connected()
	put(p, "hello\n")
	if log(p) != "hello\n" {
		t.Errorf("%q", log(p))
	}
	long := strings.Repeat("0123456789abcde\n", RingSize/16+10)
	put(p, long)
	if got := log(p); got != long[len(long)-RingSize:] {
		t.Errorf("%d bytes kept, or others than the last", len(got))
	}
	if s := p.State(); s.End != int64(6+len(long)) || s.Start != s.End-RingSize || !s.On {
		t.Errorf("%+v", s)
	}
	text, at := p.Log(p.State().End - 4)
	if string(text) != "cde\n" || at != p.State().End-4 {
		t.Errorf("%q at %d", text, at)
	}
	if text, at := p.Log(1 << 60); len(text) != 0 || at != p.State().End {
		t.Errorf("from beyond the end: %q at %d", text, at)
	}
	p.Disconnect(l)
	if log(p) != long[len(long)-RingSize:] {
		t.Error("it is gone when the guest is off")
	}
}

func TestAPortThatIsOffTakesNoMoreThanItKeeps(t *testing.T) {
	p := &Port{}
	put(p, "lost")
	if p.Memory() != 0 {
		t.Errorf("%d bytes before the first guest", p.Memory())
	}
	l := &line{port: p}
	p.Connect(l)
	if p.Memory() != RingSize {
		t.Errorf("%d bytes with a guest", p.Memory())
	}
	text := strings.Repeat("x", 5000)
	put(p, text)
	p.Disconnect(l)
	if p.Memory() != 8<<10 || log(p) != text {
		t.Errorf("%d bytes for 5000", p.Memory())
	}
	p.Disconnect(l) // of a guest that is gone
	p.Connect(&line{port: p})
	put(p, "more")
	if log(p) != text+"more" {
		t.Error("what the guest before printed is lost")
	}
	p.Disconnect(l)
	if !p.State().On {
		t.Error("a former guest switched it off")
	}
}

func TestWatchersReadWhatComes(t *testing.T) {
	p, _ := connected()
	put(p, "before ")
	all, err := p.Watch("anna", 0)
	if err != nil {
		t.Fatal(err)
	}
	fresh, _ := p.Watch("ben", -1)
	if s := p.State(); len(s.Watchers) != 2 || s.Watchers[0] != "anna" {
		t.Errorf("%+v", s)
	}
	got := make(chan string)
	for _, w := range []*Watcher{all, fresh} {
		go func() {
			var b []byte
			buf := make([]byte, 5)
			for !bytes.HasSuffix(b, []byte("!")) {
				n, _, missed, err := w.Read(context.Background(), buf)
				if err != nil || missed != 0 {
					t.Errorf("missed %d, %v", missed, err)
					break
				}
				b = append(b, buf[:n]...)
			}
			got <- string(b)
		}()
	}
	time.Sleep(5 * time.Millisecond)
	put(p, "and after!")
	texts := map[string]bool{<-got: true, <-got: true}
	if !texts["before and after!"] || !texts["and after!"] {
		t.Errorf("%v", texts)
	}
	fresh.Close()
	if _, _, _, err := fresh.Read(t.Context(), make([]byte, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := all.Read(ctx, make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	if n := len(p.State().Watchers); n != 1 {
		t.Errorf("%d watch", n)
	}
}

func TestSlowWatcherDelaysNobodyAndIsToldWhatItMissed(t *testing.T) {
	p, _ := connected()
	w, _ := p.Watch("slow", 0)
	put(p, strings.Repeat("a", 100)+strings.Repeat("b", RingSize))
	buf := make([]byte, 2*RingSize)
	n, at, missed, err := w.Read(t.Context(), buf)
	if missed != 100 || at != 100 || err != nil || n == 0 || buf[0] != 'b' {
		t.Errorf("%d bytes at %d, missed %d, %v", n, at, missed, err)
	}
	for range MaxWatchers - 1 {
		if _, err := p.Watch("more", 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Watch("too many", 0); !errors.Is(err, ErrWatchers) {
		t.Errorf("%v", err)
	}
}

func TestPrintingAllocatesNothing(t *testing.T) {
	p, _ := connected()
	p.Watch("anna", 0)
	if n := testing.AllocsPerRun(1000, func() { p.Put('x') }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCloseEndsWatchersAndWriter(t *testing.T) {
	p, _ := connected()
	put(p, "x")
	w, _ := p.Watch("anna", -1)
	h, _ := p.Hold("ben", false)
	done := make(chan error)
	go func() { _, _, _, err := w.Read(context.Background(), make([]byte, 1)); done <- err }()
	time.Sleep(time.Millisecond)
	p.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("watcher: %v", err)
	}
	<-h.Lost()
	if !errors.Is(h.Err(), ErrClosed) || p.Memory() != 0 {
		t.Errorf("writer: %v; %d bytes", h.Err(), p.Memory())
	}
	if _, err := p.Hold("ben", true); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	p.Put('x')
}
