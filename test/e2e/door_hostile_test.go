package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

// TestCallersWhoMeanHarm has somebody whom the host knows send it, over its own network, what no client does: bodies that
// never end, documents that are made to be costly, frames of HTTP/2 that mean nothing or too much. An administrator goes on
// working, and the host's memory stays within its bar.
func TestCallersWhoMeanHarm(t *testing.T) {
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	n, address := network(t, "virtio-net-pci,disable-legacy=on", 443)
	r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: ops.trusting(t, nil, nil, nil), Network: n, MemMiB: 512}, 4*time.Minute), t}
	key := r.door()
	_, _, mallory := ops.user("mallory", auth.Operator, time.Now())
	open := func(protocol string) *tls.Conn {
		t.Helper()
		config := auth.ClientConfig(mallory, auth.Expect{Key: key})
		config.NextProtos = []string{protocol}
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		return conn
	}
	admin := dial(t, address, key, ops.admin())
	works := func(after string) {
		t.Helper()
		var h api.Host
		if err := admin.Get(patient(t), client.Path("host"), nil, &h); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if h.Resources.MemoryUsed > 64*mib {
			t.Errorf("after %s the host takes %d KiB", after, h.Resources.MemoryUsed>>10)
		}
	}
	post := func(length int) string {
		return fmt.Sprintf("POST /v1/vms HTTP/1.1\r\nHost: keel\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", length)
	}
	for range 4 { // they stay while the others come
		io.WriteString(open("http/1.1"), post(1000)+"{")
	}
	works("bodies that don't end")
	const size = 100_000 // below what a body may have
	for name, bomb := range map[string]string{
		"depth":   strings.Repeat("[", size),
		"keys":    `{"labels":{` + strings.TrimSuffix(strings.Repeat(`"a":"",`, size/7), ",") + "}}",
		"numbers": `{"memory":{"size":1` + strings.Repeat("0", size) + "}}",
	} {
		conn := open("http/1.1")
		io.WriteString(conn, post(len(bomb))+bomb)
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 400" {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
		works(name)
	}
	frame := func(kind, flags byte, stream uint32, payload ...byte) []byte { // RFC 9113, 4.1
		b := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
		return append(binary.BigEndian.AppendUint32(b, stream), payload...)
	}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	get := []byte("\x82\x87\x04\x0B/v1/version\x01\x04keel") // RFC 7541: GET, https, a path and an authority
	resets := frame(4, 0, 0)
	for i := range uint32(5000) {
		resets = append(append(resets, frame(1, 5, 2*i+1, get...)...), frame(3, 0, 2*i+1, 0, 0, 0, 8)...)
	}
	for name, frames := range map[string][]byte{
		"noise":          bytes.Repeat([]byte{0xA5, 0x5A, 0xFF}, 1000),
		"pings":          append(frame(4, 0, 0), bytes.Repeat(frame(6, 0, 0, make([]byte, 8)...), 5000)...),
		"settings again": bytes.Repeat(frame(4, 0, 0), 5000),
		"rapid resets":   resets,
	} {
		conn := open("h2")
		go io.Copy(io.Discard, conn)
		conn.Write(append([]byte(preface), frames...))
		conn.Close()
		works(name)
	}
	r.wantNoErrors()
}
