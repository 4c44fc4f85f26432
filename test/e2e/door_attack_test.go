package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

// TestForeignClients has curl and openssl talk to the door, through each network card and on each processor.
func TestForeignClients(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	dir := t.TempDir()
	certificate, key, carol := ops.user("carol", auth.Viewer, time.Now())
	writeFile(t, filepath.Join(dir, "cert.pem"), certificate)
	writeFile(t, filepath.Join(dir, "key.pem"), key)
	bootOnCards(t, ops.trusting(t, nil, nil, nil), 4*time.Minute, func(t *testing.T, r run, address string) {
		shown := r.door()
		for _, c := range foreignCalls(address) {
			t.Run(c.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
				defer cancel()
				cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
				cmd.Dir, cmd.Stdin = dir, strings.NewReader(c.stdin)
				out, err := cmd.CombinedOutput()
				if !strings.Contains(strings.ToLower(string(out)), strings.ToLower(c.want)) {
					t.Errorf("%v: %s\nwant %s", err, out, c.want)
				}
			})
		}
		t.Run("a handshake in the middle", func(t *testing.T) { handshakeAgain(t, address, shown, carol) })
		if _, err := letIn(t, dial(t, address, shown, carol)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		r.wantNoErrors()
	})
}

// foreignCall is a run of a program that isn't Keel's, and what it has to write.
type foreignCall struct {
	name, stdin, want string
	args              []string
}

func foreignCalls(address string) []foreignCall {
	curl := func(args ...string) []string {
		return append([]string{"curl", "-sSk", "-m", "30", "--cert", "cert.pem", "--key", "key.pem"}, args...)
	}
	openssl := func(args ...string) []string {
		return append([]string{"openssl", "s_client", "-cert", "cert.pem", "-key", "key.pem", "-connect", address}, args...)
	}
	version := "https://" + address + "/v1/version"
	return []foreignCall{
		{"curl, HTTP/2", "", `"name":"carol"`, curl("--http2", version)},
		{"curl, HTTP/1.1", "", `"name":"carol"`, curl("--http1.1", version)},
		{"curl, without a certificate", "", "certificate required", []string{"curl", "-sSk", "-m", "30", version}},
		{"curl, TLS 1.2", "", "protocol version", curl("--tls-max", "1.2", version)},
		{"curl, without TLS", "", "This port speaks HTTPS", []string{"curl", "-sS", "-m", "30", "http://" + address + "/v1/version"}},
		{"curl, what it may not", "", `"missingRole":"admin"`, curl("-X", "POST", "-H", "Content-Type: application/json", "-d", "{}", "https://"+address+"/v1/host/shutdown")},
		{"openssl", "GET /v1/version HTTP/1.1\r\nHost: keel\r\nConnection: close\r\n\r\n", `"name":"carol"`, openssl("-quiet", "-ign_eof", "-tls1_3")},
		// Only before TLS 1.3 is there a renegotiation that a client can ask for: the host doesn't get that far with it.
		{"openssl, renegotiation", "R\n", "alert protocol version", openssl("-tls1_2")},
	}
}

// handshakeAgain is a caller who is answered, then begins another handshake in the same connection and calls again.
func handshakeAgain(t *testing.T, address string, key auth.Fingerprint, c *tls.Certificate) {
	config := auth.ClientConfig(c, auth.Expect{Key: key})
	config.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	answers := bufio.NewReader(conn)
	call := func() error {
		if _, err := io.WriteString(conn, "GET /v1/version HTTP/1.1\r\nHost: keel\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	conn.NetConn().Write(append([]byte{22, 3, 3, 0, 68, 1, 0, 0, 64}, make([]byte, 64)...)) // a ClientHello, in the clear
	var slow net.Error
	if err := call(); err == nil || errors.As(err, &slow) && slow.Timeout() {
		t.Errorf("the connection goes on: %v", err)
	}
}

// TestDoorStaysOpen floods the door with half-open connections and handshakes: an administrator goes on working, and
// the host's memory stays within its budget.
func TestDoorStaysOpen(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, nil, nil, nil)
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: path, Network: n, MemMiB: 512, CPUs: 2}, 4*time.Minute), t}
	key := r.door()
	conn := dial(t, address, key, ops.admin())
	ctx := patient(t)
	memory := func() uint64 {
		t.Helper()
		var h api.Host
		if err := conn.Get(ctx, client.Path("host"), nil, &h); err != nil {
			t.Fatal(err)
		}
		return h.Resources.MemoryUsed
	}
	before := memory()
	attack, stop := context.WithTimeout(ctx, 25*time.Second)
	defer stop()
	var wg sync.WaitGroup
	var half []net.Conn
	var mu sync.Mutex
	for range 4 {
		wg.Go(func() { // connections that say nothing, or half a greeting
			for i := 0; attack.Err() == nil && i < 1000; i++ {
				c, err := net.DialTimeout("tcp", address, time.Second)
				if err != nil {
					continue
				}
				if i%2 == 0 {
					c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1})
				}
				mu.Lock()
				half = append(half, c)
				mu.Unlock()
			}
		})
	}
	handshakes := 0
	for range 4 {
		wg.Go(func() {
			for attack.Err() == nil {
				c, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(attack, "tcp", address)
				if err == nil {
					c.Close()
				}
				mu.Lock()
				handshakes++
				mu.Unlock()
			}
		})
	}
	// The one who has a certificate, over his connection and over new ones. He comes from where the attack comes from: a new connection
	// of his may lose its place to that, and comes through at the fifth try at the latest.
	const tries = 5
	most, refused := before, 0
	slowest := time.Duration(0)
	for attack.Err() == nil {
		start := time.Now()
		most = max(most, memory())
		for try := 1; ; try++ {
			fresh := dial(t, address, key, ops.admin())
			_, err := letIn(t, fresh)
			fresh.Close()
			if err == nil {
				break
			}
			if refused++; try == tries {
				t.Errorf("an administrator's new connection, at the %dth try: %v", try, err)
				break
			}
		}
		slowest = max(slowest, time.Since(start))
		time.Sleep(300 * time.Millisecond)
	}
	wg.Wait()
	for _, c := range half {
		c.Close()
	}
	t.Logf("%d half-open connections, %d handshakes; memory %d KiB before, %d KiB at most; slowest %v, %d times refused", len(half), handshakes, before>>10,
		most>>10, slowest, refused)
	if most > 64<<20 {
		t.Errorf("the host takes %d KiB", most>>10)
	}
	r.wantNoErrors()
}
