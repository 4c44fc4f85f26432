package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// session is an administrator's machine: what keelctl keeps and sees there from one run to the next.
type session struct {
	env   map[string]string
	stdin string
	keys  io.Reader // instead of stdin
	tty   bool      // stdin, stdout and stderr are terminals
	clock time.Duration
	ctx   context.Context
	out   *syncBuffer // of a run that goes on; nil: of its own
}

// newSession returns a machine that keelctl was never used on.
func newSession(t *testing.T) *session {
	t.Helper()
	return &session{env: map[string]string{"KEEL_CONFIG": filepath.Join(t.TempDir(), "keel", "config.yaml"), "USER": "alice"}}
}

// run runs the command once.
func (s *session) run(args ...string) result {
	out, errout := s.out, &syncBuffer{}
	if out == nil {
		out = &syncBuffer{}
	}
	ctx := s.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	stdin := s.keys
	if stdin == nil {
		stdin = strings.NewReader(s.stdin)
	}
	a := &app{ctx: ctx, stdin: stdin, stdout: out, stderr: errout, newID: func() string { return id1 },
		getenv: func(name string) string { return s.env[name] },
		now:    func() time.Time { return time.Now().Add(s.clock) }, terminal: fakeTerminal(s.tty)}
	code := a.run(args)
	return result{code, out.String(), errout.String()}
}

// must is run for what has to succeed.
func (s *session) must(t *testing.T, args ...string) result {
	t.Helper()
	r := s.run(args...)
	if r.code != 0 {
		t.Fatalf("keelctl %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.errout)
	}
	return r
}

// fails is run for what has to fail with an exit code, and say why.
func (s *session) fails(t *testing.T, code int, why string, args ...string) result {
	t.Helper()
	r := s.run(args...)
	if r.code != code || !strings.Contains(r.errout, why) {
		t.Errorf("keelctl %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), r.code, code, why, r.out, r.errout)
	}
	return r
}

// fakeTerminal is a terminal, or none.
type fakeTerminal bool

func (f fakeTerminal) Stdin() bool  { return bool(f) }
func (f fakeTerminal) Stdout() bool { return bool(f) }
func (f fakeTerminal) Stderr() bool { return bool(f) }

func (f fakeTerminal) Size() (columns, rows int) { return 100, 30 }

func (f fakeTerminal) Raw() (func(), error) {
	if !f {
		return nil, errors.New("no terminal")
	}
	return func() {}, nil
}

// syncBuffer is written and read by several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// waits until a text was written.
func (s *syncBuffer) waitFor(t *testing.T, text string) {
	t.Helper()
	if !eventually(func() bool { return strings.Contains(s.String(), text) }) {
		t.Fatalf("%q was not written, but\n%s", text, s.String())
	}
}
