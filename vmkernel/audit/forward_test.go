package audit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keel/vmkernel/auth"
)

func TestACollectorGetsEachRecordInOrderAndASignedHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		l := s.log(t)
		for range 20 {
			calls(t, l, 100, "demo")
			l.Refuse("192.0.2.9:1", "no certificate")
			time.Sleep(20 * time.Second)
		}
		if f := l.Forwarding(); f.Err != nil || f.Confirmed == 0 || f.Collector.Address != "logs.example:6514" {
			t.Errorf("%+v", f)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.check(t, l)
		if n := len(s.got); s.got[n-1].id != "checkpoint" {
			t.Errorf("the last message is %+v", s.got[n-1])
		}
		c, err := parseCheckpoint(s.got[len(s.got)-1].note)
		if err != nil || c.Tree.N != l.tree.n || c.Tree.Hash != l.tree.root() {
			t.Errorf("%+v, %v", c, err)
		}
		if int64(len(s.got)) > l.tree.n+30 {
			t.Errorf("%d messages of %d records", len(s.got), l.tree.n)
		}
	})
}

func TestNoRecordIsLostWhateverTheCollectorDoes(t *testing.T) {
	for name, serve := range map[string]func(n int, c *sinkConn) bool{
		"resets within a record": func(n int, c *sinkConn) bool {
			if n%5 == 4 {
				return false
			}
			for range rand.IntN(10) {
				c.readMessage()
			}
			c.lines.Discard(rand.IntN(100))
			c.reset()
			return true
		},
		"takes all and dies": func(n int, c *sinkConn) bool {
			if n%3 == 2 {
				return false
			}
			time.Sleep(90 * time.Second)
			c.reset()
			return true
		},
		"closes of itself": func(n int, c *sinkConn) bool {
			if n%3 == 2 {
				return false
			}
			for range rand.IntN(50) {
				c.readMessage()
			}
			c.Close() // with close_notify
			return true
		},
		"never answers close_notify": func(n int, c *sinkConn) bool {
			if n%3 == 2 {
				return false
			}
			c.readAll()
			time.Sleep(time.Hour)
			return true
		},
		"ends TCP alone": func(n int, c *sinkConn) bool {
			if n%3 == 2 {
				return false
			}
			c.readAll()
			c.NetConn().Close()
			return true
		},
		"is slow": func(n int, c *sinkConn) bool {
			for c.readMessage() == nil {
				time.Sleep(2 * time.Second)
			}
			c.Close()
			return true
		},
		"stops reading": func(n int, c *sinkConn) bool {
			if n%3 == 2 {
				return false
			}
			c.readMessage()
			time.Sleep(10 * time.Minute)
			c.reset()
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink(t)
				s.serve = serve
				l := s.log(t)
				for range 20 {
					calls(t, l, 20, "demo")
					time.Sleep(time.Duration(rand.IntN(60)) * time.Second)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
				defer cancel()
				if err := l.Close(ctx); err != nil {
					t.Fatal(err)
				}
				s.check(t, l)
				t.Logf("%d connections, %d messages for %d records", s.conns, len(s.got), l.tree.n)
			})
		})
	}
}

// What a collector has confirmed it has read, whoever closes first: records are never dropped here before.
func TestOnlyAnAnsweredCloseConfirms(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(n int, c *sinkConn) bool
		want  string
		bare  bool
	}{
		"no answer":         {func(_ int, c *sinkConn) bool { c.readAll(); time.Sleep(time.Hour); return true }, "hasn't answered", false},
		"TCP's end":         {func(_ int, c *sinkConn) bool { c.readAll(); c.NetConn().Close(); return true }, "without TLS's close_notify", false},
		"TCP's end will do": {func(_ int, c *sinkConn) bool { c.readAll(); c.NetConn().Close(); return true }, "", true},
		"closed before": {func(_ int, c *sinkConn) bool {
			time.Sleep(30 * time.Second)
			c.Close()
			return true
		}, "without confirming", false},
		"closed while the last is on its way": {func(_ int, c *sinkConn) bool {
			time.Sleep(confirmAfter + minSettle/2)
			c.Close()
			return true
		}, "without confirming", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink(t)
				s.serve = test.serve
				c := s.collector()
				c.Bare = test.bare
				l := newLog(t, func(c *Config) { c.Dial = s.dial })
				if err := l.Forward(c); err != nil {
					t.Fatal(err)
				}
				time.Sleep(confirmAfter + closeTimeout + 2*maxSettle)
				f := l.Forwarding()
				if test.want == "" {
					if f.Confirmed != 2 || f.Err != nil {
						t.Errorf("%+v", f)
					}
				} else if f.Confirmed != 0 || f.Err == nil || !strings.Contains(f.Err.Error(), test.want) {
					t.Errorf("%+v", f)
				}
				l.forward.cancel()
			})
		})
	}
}

func TestNothingIsSentToTheWrongCollector(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, s *sink, c *Collector)
		want   string
	}{
		"another CA":   {func(t *testing.T, s *sink, c *Collector) { c.CA = newAuthority(t).pem }, "unknown authority"},
		"another name": {func(t *testing.T, s *sink, c *Collector) { c.Name = "other.example" }, "other.example"},
		"expired":      {func(t *testing.T, s *sink, c *Collector) { s.cert = s.ca.sign(t, collectorName, -time.Hour) }, "expired"},
		"another key":  {func(t *testing.T, s *sink, c *Collector) { c.CA, c.Pin = "", "SHA256:"+strings.Repeat("A", 43) }, "not the pinned one"},
		"another key of the CA": {func(t *testing.T, s *sink, c *Collector) { c.Pin = "SHA256:" + strings.Repeat("A", 43) },
			"not the pinned one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink(t)
				c := s.collector()
				test.change(t, s, c)
				l := newLog(t, func(c *Config) { c.Dial = s.dial })
				if err := l.Forward(c); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				f := l.Forwarding()
				if len(s.got) > 0 || f.Confirmed != 0 || f.Err == nil || !strings.Contains(f.Err.Error(), test.want) {
					t.Errorf("%+v", f)
				}
				if s.conns < 50 || s.conns > 80 {
					t.Errorf("%d attempts in an hour", s.conns)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := l.Close(ctx); err == nil || !strings.Contains(err.Error(), "logs.example:6514 hasn't confirmed the last 3 records") {
					t.Errorf("%v", err)
				}
				<-l.forward.done
			})
		})
	}
}

func TestAPinAloneIdentifiesACollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		leaf, _ := x509.ParseCertificate(s.cert.Certificate[0])
		l := newLog(t, func(c *Config) { c.Dial = s.dial })
		if err := l.Forward(&Collector{Address: collectorName, Pin: string(auth.FingerprintOf(leaf))}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.check(t, l)
	})
}

// Over the host's own TCP, whose resets and ends are real.
func TestForwardingOverTCP(t *testing.T) {
	s := newRealSink(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer ln.Close()
	s.serve = func(n int, c *sinkConn) bool {
		switch n {
		case 0:
			c.readMessage()
			c.NetConn().(*net.TCPConn).SetLinger(0)
			c.NetConn().Close()
			return true
		case 1:
			c.readMessage() // and closes with data unread: TCP resets
			return true
		case 2: // the same, in answer to close_notify
			time.Sleep(time.Second)
			c.CloseWrite()
			return true
		}
		return false
	}
	go func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.accept(n, c, nil)
		}
	}()
	l := newLog(t, func(c *Config) {
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
		}
		c.Certificate = &tls.Certificate{}
	})
	calls(t, l, 1000, "demo")
	if err := l.Forward(s.collector()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
	s.check(t, l)
}
