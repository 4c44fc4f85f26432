package console

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPasteArrivesWhole(t *testing.T) {
	p, l := connected()
	w, err := p.Hold("anna", false)
	if err != nil {
		t.Fatal(err)
	}
	w.rate = 100 << 20 // the pace has a test of its own
	text := strings.Repeat("0123456789abcde\n", 100<<10/16)
	done := make(chan error)
	go func() {
		n, err := w.Write(context.Background(), []byte(text))
		if n != len(text) {
			t.Errorf("typed %d bytes", n)
		}
		done <- err
	}()
	var got []byte
	for deadline := time.Now().Add(20 * time.Second); len(got) < len(text) && time.Now().Before(deadline); {
		got = append(got, l.read()...)
	}
	if err := <-done; err != nil || string(got) != text {
		t.Errorf("%d of %d bytes came, %v", len(got), len(text), err)
	}
}

func TestTypingIsNoFasterThanAFastLine(t *testing.T) {
	p, l := connected()
	w, _ := p.Hold("anna", false)
	const n = burst + bytesPer/10
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			l.read()
		}
	}()
	began := time.Now()
	if _, err := w.Write(t.Context(), make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < 95*time.Millisecond {
		t.Errorf("a burst and 100 ms' worth took %v", d)
	}
}

func TestOneTypesAndOthersAreToldWho(t *testing.T) {
	p, l := connected()
	anna, err := p.Hold("anna", false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Hold("ben", false)
	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "anna" || time.Since(held.Since) > time.Minute || !strings.Contains(err.Error(), "anna has been typing here since ") {
		t.Fatalf("%v", err)
	}
	if s := p.State(); s.Holder != "anna" || s.Since != held.Since {
		t.Errorf("%+v", s)
	}
	stuck := make(chan error)
	go func() {
		_, err := anna.Write(context.Background(), make([]byte, 100)) // the guest reads 16
		stuck <- err
	}()
	for len(l.fifoNow()) < 16 {
		time.Sleep(time.Millisecond)
	}
	ben, err := p.Hold("ben", true)
	if err != nil {
		t.Fatal(err)
	}
	var taken *TakenError
	if err := <-stuck; !errors.As(err, &taken) || taken.By != "ben" {
		t.Errorf("anna's Write: %v", err)
	}
	<-anna.Lost()
	if err := anna.Err(); err == nil || err.Error() != "console: ben has taken over: you can watch" {
		t.Errorf("%v", err)
	}
	l.read()
	if n, err := anna.Write(t.Context(), []byte("x")); n != 0 || !errors.As(err, &taken) {
		t.Errorf("anna typed %d bytes: %v", n, err)
	}
	anna.Close()
	if n, err := ben.Write(t.Context(), []byte("ls\n")); n != 3 || err != nil || string(l.read()) != "ls\n" {
		t.Errorf("ben typed %d bytes: %v", n, err)
	}
	ben.Close()
	if s := p.State(); s.Holder != "" {
		t.Errorf("%+v", s)
	}
	if _, err := p.Hold("anna", false); err != nil {
		t.Error(err)
	}
}

func (l *line) fifoNow() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fifo
}

func TestTypingToWhatIsOff(t *testing.T) {
	p, l := connected()
	w, _ := p.Hold("anna", false)
	l.off = true
	done := make(chan error)
	go func() {
		_, err := w.Write(context.Background(), []byte("x"))
		done <- err
	}()
	time.Sleep(time.Millisecond)
	p.Disconnect(l)
	if err := <-done; !errors.Is(err, ErrOff) {
		t.Errorf("%v", err)
	}
	next := &line{port: p}
	p.Connect(next)
	if n, err := w.Write(t.Context(), []byte("y")); n != 1 || err != nil || string(next.read()) != "y" {
		t.Errorf("after a reboot: %d, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if n, err := w.Write(ctx, make([]byte, 20)); n != 16 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("typed %d, %v", n, err)
	}
}
