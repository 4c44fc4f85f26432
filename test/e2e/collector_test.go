package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/audit"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// collector is a log collector of RFC 5425 on this machine. It resets its first connection within a record.
type collector struct {
	t       *testing.T
	address string // as the machine reaches it
	key     auth.Fingerprint

	mu      sync.Mutex
	records map[int64]string
	next    int64  // the first record that it hasn't got
	note    string // the latest checkpoint
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	key, err := auth.NewHostKey("collector", []string{"collector"}, nil, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c := &collector{t: t, address: net.JoinHostPort("10.0.2.2", port), key: key.Fingerprint(), records: map[int64]string{}}
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(n, conn.(*net.TCPConn), &tls.Config{GetCertificate: key.Certificate, MinVersion: tls.VersionTLS13})
		}
	}()
	return c
}

func (c *collector) serve(n int, raw *net.TCPConn, config *tls.Config) {
	defer raw.Close()
	conn := tls.Server(raw, config)
	in := bufio.NewReaderSize(conn, 16)
	for {
		digits, err := in.ReadString(' ')
		if err != nil {
			conn.Close() // which answers close_notify
			return
		}
		size, err := strconv.Atoi(strings.TrimSuffix(digits, " "))
		if err != nil || size > 2048 {
			c.t.Errorf("a frame of %q bytes", digits)
			return
		}
		if n == 0 && c.count() == 2 {
			raw.SetLinger(0)
			return
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(in, text); err != nil {
			return
		}
		c.take(string(text))
	}
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.records)
}

var (
	recordForm = regexp.MustCompile(`^<\d+>1 \S+ keel-test keel \S+ \w+ \[keel@32473 seq="(\d+)" hash="\S+"\] (\{.*\})$`)
	headForm   = regexp.MustCompile(`^<\d+>1 \S+ keel-test keel \S+ checkpoint \[keel@32473 size="\d+" note="(\S+)"\] `)
)

func (c *collector) take(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := headForm.FindStringSubmatch(text); m != nil {
		note, _ := base64.StdEncoding.DecodeString(m[1])
		c.note = string(note)
		return
	}
	m := recordForm.FindStringSubmatch(text)
	if m == nil {
		c.t.Errorf("no message of RFC 5424: %s", text)
		return
	}
	seq, _ := strconv.ParseInt(m[1], 10, 64)
	if seq > c.next {
		c.t.Errorf("after record %d comes %d", c.next-1, seq)
	}
	c.records[seq] = m[2]
	c.next = max(c.next, seq+1)
}

// TestTheCollectorHasTheWholeAuditLog sends the log from the seed's applying to the power button, over a connection that
// breaks, and verifies what the collector has without the host.
func TestTheCollectorHasTheWholeAuditLog(t *testing.T) {
	c := newCollector(t)
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, func(h *seed.Host) {
		h.Audit.Collector = &audit.Collector{Address: c.address, Pin: string(c.key)}
	}, nil, nil)
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, Network: n, MemMiB: 1024}, 5*time.Minute), t}
	key := r.door()
	ctx := patient(t)
	conn := dial(t, address, key, ops.admin())
	for range 20 {
		if err := conn.Get(ctx, client.Path("host"), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(conn.PeerKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Post(ctx, client.Path("host", "shutdown"), api.HostStop{}, nil); err != nil {
		t.Fatal(err)
	}
	r.end()
	r.wantNoErrors()

	c.mu.Lock()
	defer c.mu.Unlock()
	e := audit.Export{Key: spki, Head: audit.Head{Note: []byte(c.note), Size: c.next}}
	for i := range c.next {
		e.Record = append(e.Record, []byte(c.records[i]))
	}
	report, err := new(audit.Memory).Verify(ctx, &e, nil, time.Now())
	if err != nil {
		t.Fatalf("%v\n%s", err, e.Record)
	}
	if report.Fingerprint != string(key) {
		t.Errorf("signed by %s, the door's key was %s", report.Fingerprint, key)
	}
	text := fmt.Sprintf("%s", e.Record)
	for _, want := range []string{"audit.begin", "seed.applied", "alice", "/v1/host/shutdown", "audit.end"} {
		if !strings.Contains(text, want) {
			t.Errorf("the collector lacks %s: %s", want, text)
		}
	}
}
