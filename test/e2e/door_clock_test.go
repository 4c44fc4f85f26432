package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/seed"
)

// TestTimeIsCorrectedBeforeTheDoorOpens has a time server at the emulator's own address, and a machine whose clock is of 2020.
func TestTimeIsCorrectedBeforeTheDoorOpens(t *testing.T) {
	server, err := net.ListenPacket("udp4", "127.0.0.1:123")
	if err != nil {
		if os.Getenv(machine.RequireEnv) != "" {
			t.Fatalf("a time server can't be started here (its port needs root, or CAP_NET_BIND_SERVICE): %v", err)
		}
		t.Skipf("a time server can't be started here: %v", err)
	}
	defer server.Close()
	ahead := 3 * time.Hour
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			r := make([]byte, 48) // RFC 4330 4
			r[0], r[1] = 4<<3|4, 2
			copy(r[24:32], b[40:48])
			now := time.Now().Add(ahead)
			for _, at := range []int{32, 40} {
				binary.BigEndian.PutUint32(r[at:], uint32(now.Unix()+2_208_988_800))
				binary.BigEndian.PutUint32(r[at+4:], uint32(uint64(now.Nanosecond())<<32/1e9))
			}
			server.WriteTo(r, from)
		}
	}()
	ops := newOperators(t, "ops", time.Now().Add(-time.Hour))
	path := ops.trusting(t, func(h *seed.Host) { h.Management.NTP = []netip.Addr{netip.MustParseAddr("10.0.2.2")} }, nil, nil)
	r, address := bootDoor(t, path, "", "-rtc", "base=2020-01-01T00:00:00")
	m, err := r.WaitFor(t.Context(), doorLine)
	if err != nil {
		t.Fatal(err)
	}
	if m[3] != "sntp" {
		t.Errorf("the door opened with the clock of %s", m[3])
	}
	conn := dial(t, address, "", ops.admin())
	if now := timeOf(t, conn); now.Source != "sntp" || time.Until(now.Now.Add(-ahead)).Abs() > time.Minute {
		t.Errorf("time %+v", now)
	}
}
