package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// authority signs collectors' certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := x509.ParseCertificate(der)
	return &authority{c, k, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// sign makes a collector's certificate for a name, valid for a time from now on.
func (a *authority) sign(t testing.TB, name string, valid time.Duration) tls.Certificate {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(valid)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

const collectorName = "logs.example"

// message is a syslog message that a collector has got whole.
type message struct {
	conn int
	id   string // MSGID
	boot string
	seq  int64
	hash string
	note []byte
	text string
}

// sink is a fake collector. Its network keeps up to buffer writes in flight each way, which a reset loses.
type sink struct {
	t      testing.TB
	ca     *authority
	cert   tls.Certificate
	buffer int
	refuse error                         // of dial
	serve  func(n int, c *sinkConn) bool // what the nth connection does; false or nil: it reads all and answers

	mu    sync.Mutex
	conns int
	got   []message
}

// sinkConn is a connection as the collector has it.
type sinkConn struct {
	*tls.Conn
	n     int
	sink  *sink
	lines *bufio.Reader
	reset func()
}

// newSink makes a collector in a bubble of synctest, whose goroutines get time to end.
func newSink(t testing.TB) *sink {
	t.Cleanup(func() { time.Sleep(24 * time.Hour) })
	return newRealSink(t)
}

func newRealSink(t testing.TB) *sink {
	ca := newAuthority(t)
	return &sink{t: t, ca: ca, cert: ca.sign(t, collectorName, 1000*time.Hour), buffer: 64}
}

func (s *sink) collector() *Collector { return &Collector{Address: collectorName, CA: s.ca.pem} }

// dial is the log's Dialer.
func (s *sink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != collectorName+":6514" || network != "tcp" {
		s.t.Errorf("dial %s %s", network, address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	n := s.conns
	s.conns++
	client, near := net.Pipe()
	far, server := net.Pipe()
	reset := func() { near.Close(); far.Close() }
	go relay(near, far, s.buffer)
	go relay(far, near, s.buffer)
	go s.accept(n, server, reset)
	return client, nil
}

// relay carries what one end writes to the other, with room for some of it. The end goes the same way.
func relay(from, to net.Conn, buffer int) {
	c := make(chan []byte, buffer)
	go func() {
		defer close(c)
		for {
			b := make([]byte, 512)
			n, err := from.Read(b)
			if n > 0 {
				c <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	for b := range c {
		if _, err := to.Write(b); err != nil {
			break
		}
	}
	to.Close()
	for range c {
	}
}

func (s *sink) accept(n int, raw net.Conn, reset func()) {
	defer raw.Close()
	conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS13})
	if conn.Handshake() != nil {
		return
	}
	c := &sinkConn{conn, n, s, bufio.NewReaderSize(conn, 16), reset}
	if s.serve != nil && s.serve(n, c) {
		return
	}
	c.readAll()
	conn.Close()
}

// readAll takes messages until the end.
func (c *sinkConn) readAll() {
	for c.readMessage() == nil {
	}
}

var messageForm = regexp.MustCompile(`(?s)^<(\d+)>1 (\S+) keel-1 keel (\S+) (\S+) \[keel@32473( seq="(\d+)" hash="([^"]+)"| size="\d+" note="([^"]+)")\] (.*)$`)

// readMessage takes one message.
func (c *sinkConn) readMessage() error {
	size, err := c.lines.ReadString(' ')
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
	if err != nil || n > 2048 {
		c.sink.t.Errorf("a frame of %q bytes", size)
		return errors.New("frame")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.lines, b); err != nil {
		return err
	}
	f := messageForm.FindStringSubmatch(string(b))
	if f == nil {
		c.sink.t.Errorf("no message of RFC 5424: %s", b)
		return errors.New("message")
	}
	if _, err := time.Parse(timeFormat, f[2]); err != nil {
		c.sink.t.Error(err)
	}
	m := message{conn: c.n, id: f[4], boot: f[3], seq: -1, hash: f[7], text: f[9]}
	if f[6] != "" {
		m.seq, _ = strconv.ParseInt(f[6], 10, 64)
	}
	m.note, _ = base64.StdEncoding.DecodeString(f[8])
	c.sink.mu.Lock()
	defer c.sink.mu.Unlock()
	c.sink.got = append(c.sink.got, m)
	return nil
}

// check holds what the collector has got against the log: all of it, in order.
func (s *sink) check(t testing.TB, l *Log) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	next := int64(0)
	last := message{conn: -1}
	for _, m := range s.got {
		if m.id == "checkpoint" {
			if _, err := parseCheckpoint(m.note); err != nil {
				t.Error(err)
			}
			continue
		}
		if m.seq > next {
			t.Fatalf("after record %d comes %d", next-1, m.seq)
		}
		if m.conn == last.conn && m.seq != last.seq+1 {
			t.Errorf("on one connection %d comes after %d", m.seq, last.seq)
		}
		if m.hash != tlog.RecordHash([]byte(m.text)).String() {
			t.Errorf("record %d isn't what its hash says: %s", m.seq, m.text)
		}
		if p := l.Read(m.seq, 1); p.From == m.seq && !bytes.Equal(p.Records[0], []byte(m.text)) {
			t.Errorf("record %d is %s, the log has %s", m.seq, m.text, p.Records[0])
		}
		next = max(next, m.seq+1)
		last = m
	}
	if size := l.Read(0, 0).Size; next != size {
		t.Errorf("the collector has %d of %d records", next, size)
	}
}

// forwarding returns a log that is forwarded to s.
func (s *sink) log(t testing.TB) *Log {
	t.Helper()
	l := newLog(t, func(c *Config) { c.Dial = s.dial })
	if err := l.Forward(s.collector()); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCollectorsAreChecked(t *testing.T) {
	ca := newAuthority(t)
	quoted := strings.ReplaceAll(ca.pem, "\n", `\n`)
	pin := "SHA256:" + strings.Repeat("A", 43)
	for text, want := range map[string]string{
		`{"address":"192.0.2.1","pin":"` + pin + `"}`:                          "192.0.2.1:6514",
		`{"address":"logs.example:99","pin":"` + pin + `"}`:                    "logs.example:99",
		`{"address":"2001:db8::1","ca":"` + quoted + `"}`:                      "[2001:db8::1]:6514",
		`{"address":"[2001:db8::1]:7","name":"x.example","pin":"` + pin + `"}`: "[2001:db8::1]:7",
	} {
		c, err := ParseCollector([]byte(text))
		if err != nil || c.Address != want {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	for text, want := range map[string]string{
		``:                                      "EOF",
		`{"address":"192.0.2.1"}`:               "neither ca nor pin",
		`{"address":"","pin":"` + pin + `"}`:    "address",
		`{"address":"a b","pin":"` + pin + `"}`: "address",
		`{"address":"a:0","pin":"` + pin + `"}`: "address",
		`{"address":"a:x","pin":"` + pin + `"}`: "address",
		`{"address":"a","pin":"SHA256:AA"}`:     "pin",
		`{"address":"a","pin":"MD5:AA"}`:        "pin",
		`{"address":"a","ca":"nothing"}`:        "ca",
		`{"address":"a","ca":"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"}`: "certificates alone",
		`{"address":"a","ca":"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}`: "certificate 1",
		`{"address":"a","name":"b c","pin":"` + pin + `"}`:                                      "name",
		`{"address":"a","pin":"` + pin + `","port":3}`:                                          "port",
		`{"address":"a","pin":"` + pin + `"}{}`:                                                 "follows",
	} {
		if _, err := ParseCollector([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	l := newLog(t)
	if err := l.Forward(&Collector{Address: "a", Pin: pin}); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Error(err)
	}
	if err := l.Forward(&Collector{Address: "a"}); err == nil {
		t.Error("a collector that can't be checked is taken")
	}
}
