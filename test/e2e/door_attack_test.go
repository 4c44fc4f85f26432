package e2e

import (
	"context"
	"crypto/tls"
	"net"
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

// TestForeignClients has curl and openssl talk to the door.
func TestForeignClients(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	r, address := bootDoor(t, ops.trusting(t, nil, nil, nil), "")
	r.door()
	dir := t.TempDir()
	certificate, key, _ := ops.user("carol", auth.Viewer, time.Now())
	writeFile(t, filepath.Join(dir, "cert.pem"), certificate)
	writeFile(t, filepath.Join(dir, "key.pem"), key)
	for _, c := range []struct {
		name, stdin, want string
		args              []string
	}{
		{"curl, HTTP/2", "", `"name":"carol"`, []string{"curl", "-sSk", "--http2", "-m", "30", "--cert", "cert.pem", "--key", "key.pem", "https://" + address + "/v1/version"}},
		{"curl, HTTP/1.1", "", `"name":"carol"`, []string{"curl", "-sSk", "--http1.1", "-m", "30", "--cert", "cert.pem", "--key", "key.pem", "https://" + address + "/v1/version"}},
		{"curl, without a certificate", "", "certificate required", []string{"curl", "-sSk", "-m", "30", "https://" + address + "/v1/version"}},
		{"curl, TLS 1.2", "", "protocol version", []string{"curl", "-sSk", "--tls-max", "1.2", "-m", "30", "--cert", "cert.pem", "--key", "key.pem", "https://" + address + "/v1/version"}},
		{"curl, without TLS", "", "This port speaks HTTPS", []string{"curl", "-sS", "-m", "30", "http://" + address + "/v1/version"}},
		{"curl, what it may not", "", `"missingRole":"admin"`, []string{"curl", "-sSk", "-m", "30", "--cert", "cert.pem", "--key", "key.pem", "-X", "POST", "-H", "Content-Type: application/json", "-d", "{}", "https://" + address + "/v1/host/shutdown"}},
		{"openssl", "GET /v1/version HTTP/1.1\r\nHost: keel\r\nConnection: close\r\n\r\n", `"name":"carol"`, []string{"openssl", "s_client", "-quiet", "-ign_eof", "-tls1_3", "-cert", "cert.pem", "-key", "key.pem", "-connect", address}},
		{"openssl, renegotiation", "R\n", "no renegotiation", []string{"openssl", "s_client", "-tls1_3", "-cert", "cert.pem", "-key", "key.pem", "-connect", address}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(c.stdin)
			out, err := cmd.CombinedOutput()
			if c.name == "openssl, renegotiation" {
				// TLS 1.3 has none: s_client says so itself, and the host doesn't go on as if nothing had been.
				if strings.Contains(string(out), "HTTP/1.1 200") {
					t.Errorf("%s", out)
				}
				return
			}
			if !strings.Contains(strings.ToLower(string(out)), strings.ToLower(c.want)) {
				t.Errorf("%v: %s\nwant %s", err, out, c.want)
			}
		})
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
	// The one who has a certificate, over his connection and over new ones.
	most := before
	slowest := time.Duration(0)
	for attack.Err() == nil {
		start := time.Now()
		most = max(most, memory())
		fresh := dial(t, address, key, ops.admin())
		if _, err := letIn(t, fresh); err != nil {
			t.Errorf("an administrator's new connection: %v", err)
		}
		fresh.Close()
		slowest = max(slowest, time.Since(start))
		time.Sleep(300 * time.Millisecond)
	}
	wg.Wait()
	for _, c := range half {
		c.Close()
	}
	t.Logf("%d half-open connections, %d handshakes; memory %d KiB before, %d KiB at most; slowest %v", len(half), handshakes, before>>10, most>>10, slowest)
	if most > 64<<20 {
		t.Errorf("the host takes %d KiB", most>>10)
	}
	r.wantNoErrors()
}
