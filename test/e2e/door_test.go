package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
	"keel/vmkernel/seed"
)

// Lines of a host that is managed.
var (
	doorLine  = regexp.MustCompile(`^level=INFO msg="door open" address=(\S+) port=443 version=\S+ fingerprint=(SHA256:\S+) clock=(\S+) ticks=(\d+)$`)
	claimLine = regexp.MustCompile(`^level=WARN msg="claim open" code=(\S+) fingerprint=(SHA256:\S+) `)
)

// operators is an operator CA with users that it has signed.
type operators struct {
	t  *testing.T
	ca *auth.CA
}

func newOperators(t *testing.T, name string, since time.Time) *operators {
	t.Helper()
	ca, err := auth.NewCA(name, since)
	if err != nil {
		t.Fatal(err)
	}
	return &operators{t, ca}
}

// user makes a user's certificate, in PEM and as TLS takes it.
func (o *operators) user(name string, role auth.Role, now time.Time) (certificate, key []byte, c *tls.Certificate) {
	o.t.Helper()
	fatal := func(err error) {
		if err != nil {
			o.t.Helper()
			o.t.Fatal(err)
		}
	}
	k, err := auth.NewKey()
	fatal(err)
	text, err := auth.NewRequest(k, name)
	fatal(err)
	request, err := auth.ParseRequest(text)
	fatal(err)
	signed, err := o.ca.Sign(request, auth.Grant{Role: role}, 24*time.Hour, now)
	fatal(err)
	key, err = auth.KeyPEM(k)
	fatal(err)
	certificate = auth.CertificatePEM(signed)
	c, err = auth.TLSCertificate(certificate, key)
	fatal(err)
	return certificate, key, c
}

func (o *operators) admin() *tls.Certificate {
	_, _, c := o.user("alice", auth.Admin, time.Now())
	return c
}

// trusting is the seed of a host that these operators manage.
func (o *operators) trusting(t *testing.T, change func(*seed.Host), vms []seed.VM, f map[string][]byte) string {
	t.Helper()
	h := hostWith()
	h.WhenIdle, h.Management.NIC = seed.IdleStay, seed.NICAuto
	h.Trust.OperatorCAs = []string{string(o.ca.CertificatePEM())}
	if change != nil {
		change(&h)
	}
	data, err := seed.Pack(h, vms, f)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/seed.tar"
	writeFile(t, path, data)
	return path
}

// door waits until the host's door is open, and returns the key that it shows.
func (r run) door() auth.Fingerprint {
	r.t.Helper()
	m, err := r.WaitFor(r.t.Context(), doorLine)
	if err != nil {
		r.t.Fatal(err)
	}
	return auth.Fingerprint(m[2])
}

// dial is a connection to a host with that key.
func dial(t *testing.T, address string, key auth.Fingerprint, c *tls.Certificate) *client.Conn {
	conn := client.New(client.Config{Name: "keel-test", Address: address, Client: c, Expect: auth.Expect{Key: key}, UserAgent: "e2e"})
	t.Cleanup(conn.Close)
	return conn
}

// patient is a context for calls of an emulated machine.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// echoGuest is a Linux that says back what is typed on its console, and switches itself off at `off`.
func echoGuest(name string) seed.VM {
	v := linux(name, 1, 128*mib, "workload.only=none workload.end=echo")
	v.Autostart.Enabled = false
	return v
}

// console types and reads at a guest's console.
type console struct {
	t      *testing.T
	ctx    context.Context
	socket *websocket.Conn
	seen   string
}

func openConsole(t *testing.T, ctx context.Context, c *client.Conn, vm string) *console {
	t.Helper()
	socket, err := c.WebSocket(ctx, client.Path("vms", vm, "console", "ttyS0"), url.Values{"from": {"0"}}, api.ConsoleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.CloseNow() })
	return &console{t, ctx, socket, ""}
}

func (c *console) expect(want string) {
	c.t.Helper()
	for !strings.Contains(c.seen, want) {
		kind, text, err := c.socket.Read(c.ctx)
		if err != nil {
			c.t.Fatalf("waiting for %q: %v; seen %q", want, err, c.seen)
		}
		if kind == websocket.MessageBinary {
			c.seen += string(text)
		}
	}
	_, c.seen, _ = strings.Cut(c.seen, want)
}

func (c *console) send(text string) {
	c.t.Helper()
	if err := c.socket.Write(c.ctx, websocket.MessageBinary, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// TestFromSeedToConsole manages a host from its seed on: a guest is started, typed to, stopped, and the host switched off.
func TestFromSeedToConsole(t *testing.T) {
	t.Parallel()
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, nil, []seed.VM{echoGuest("tux")}, files(t, fileLinux, fileInitrd))
	bootOnCards(t, path, 7*time.Minute, func(t *testing.T, r run, address string) {
		key := r.door()
		ctx := patient(t)
		conn := dial(t, address, key, ops.admin())

		var v api.Version
		if err := conn.Get(ctx, client.Path("version"), nil, &v); err != nil {
			t.Fatal(err)
		}
		if v.Host != "keel-test" || v.You.Name != "alice" || v.You.Role != "admin" {
			t.Errorf("version %+v", v)
		}
		var h api.Host
		if err := conn.Get(ctx, client.Path("host"), nil, &h); err != nil {
			t.Fatal(err)
		}
		if h.State != "ready" || len(h.Hardware.Cards) != 1 || h.Hardware.Cards[0].Driver == "" || h.Hardware.CPUModel == "" {
			t.Errorf("host %+v", h)
		}
		t.Logf("memory in use: %d KiB", h.Resources.MemoryUsed>>10)

		var op api.Operation
		if _, err := conn.Call(ctx, client.Request{Method: "POST", Path: client.Path("vms", "tux", "start"), Query: url.Values{"wait": {"60s"}}}, &op); err != nil {
			t.Fatal(err)
		}
		if op.State != api.OpSucceeded {
			t.Fatalf("start: %+v", op)
		}
		k := openConsole(t, ctx, conn, "tux")
		k.expect("WORKLOAD echo")
		k.send("hello there\r")
		k.expect("you typed hello there")
		k.send("off\r")
		if _, err := r.WaitFor(ctx, stoppedLine); err != nil {
			t.Fatal(err)
		}
		r.wantReasons(map[string]string{"tux": "power-off"})

		var records api.AuditRecords
		if err := conn.Get(ctx, client.Path("audit", "records"), url.Values{"from": {"0"}, "count": {"100"}}, &records); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%s", records.Records)
		for _, want := range []string{"seed.applied", "vm.started", "vm.stopped", "alice"} {
			if !strings.Contains(text, want) {
				t.Errorf("the audit log lacks %s: %s", want, text)
			}
		}
		if err := conn.Post(ctx, client.Path("host", "shutdown"), api.HostStop{}, nil); err != nil {
			t.Fatal(err)
		}
		r.end()
		r.wantNoErrors()
	})
}
