package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
)

// What test/netecho says.
var (
	netAddressed = regexp.MustCompile(`^netecho\| state link=(\S+) addresses=\[10\.0\.2\.15/24.*dhcp=10\.0\.2\.2$`)
	netEchoed    = regexp.MustCompile(`^netecho\| echoed (\d+) bytes .*: <nil>; sent=\d+ received=\d+ dropped=(\d+) bad=0 resets=0$`)
	netFailed    = regexp.MustCompile(`^netecho\| FAIL|^level=ERROR|^fatal error:|^panic:`)
)

// echoPort is where netecho listens.
const echoPort = 443

// network is a card with a way to a port of the machine, from a port of this one.
func network(t *testing.T, device string, port int) (*machine.Network, string) {
	p := machine.FreePort(t)
	return &machine.Network{Device: device, TCP: map[int]int{p: port}}, fmt.Sprintf("127.0.0.1:%d", p)
}

// TestNetworkCards sends data through each driver, there and back, over a connection from outside to
// an address that the machine has from DHCP.
func TestNetworkCards(t *testing.T) {
	image := machine.BuildImage(t, "./test/netecho")
	qemu := func(q machine.QEMU) func(*testing.T, *machine.Network) machine.Machine {
		return func(t *testing.T, n *machine.Network) machine.Machine {
			q.Kernel, q.Network = image, n
			q.MemMiB = 512
			return q
		}
	}
	bochs := func(cpus int) func(*testing.T, *machine.Network) machine.Machine {
		return func(t *testing.T, n *machine.Network) machine.Machine {
			return machine.Bochs{ISO: machine.BuildISO(t, image, ""), Network: n, CPUs: cpus, MemMiB: 512}
		}
	}
	for _, c := range []struct {
		name, device string
		machine      func(*testing.T, *machine.Network) machine.Machine
		bytes        int
	}{
		{"QEMU/e1000", "e1000", qemu(machine.QEMU{}), mib},
		{"QEMU/e1000 without ECAM", "e1000", qemu(machine.QEMU{Machine: "pc"}), mib},
		{"QEMU/e1000e", "e1000e", qemu(machine.QEMU{CPUs: 2}), mib},
		{"QEMU/virtio-net", "virtio-net-pci,disable-legacy=on", qemu(machine.QEMU{}), mib},
		{"QEMU/virtio-net, transitional", "virtio-net-pci", qemu(machine.QEMU{Machine: "pc"}), mib},
		{"QEMU/virtio-net without MSI-X", "virtio-net-pci,disable-legacy=on,vectors=0", qemu(machine.QEMU{CPUs: 2}), mib},
		{"Bochs/e1000", "e1000", bochs(1), mib},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, address := network(t, c.device, echoPort)
			p := machine.Boot(t, c.machine(t, n), 3*time.Minute)
			p.FailOn(netFailed)
			m, err := p.WaitFor(t.Context(), netAddressed)
			if err != nil {
				t.Fatal(err)
			}
			if m[1] == "down" {
				t.Error("an address without a link")
			}
			start := time.Now()
			if err := echo(address, c.bytes); err != nil {
				t.Error(err)
			}
			took := time.Since(start)
			if m, err = p.WaitFor(t.Context(), netEchoed); err != nil {
				t.Fatal(err)
			}
			if m[1] != fmt.Sprint(c.bytes) {
				t.Errorf("the machine sent %s bytes back of %d", m[1], c.bytes)
			}
			t.Logf("%d bytes there and back in %v", c.bytes, took.Round(time.Millisecond))
			for _, line := range p.Lines() {
				if strings.HasPrefix(line, "netecho|") {
					t.Log(line)
				}
			}
		})
	}
}

// echo sends n random bytes, more than all buffers on the way, and reads them back.
func echo(address string, n int) error {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(data)
		sent <- errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	}()
	back, err := io.ReadAll(conn)
	if err = errors.Join(err, <-sent); err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", len(back), n, err)
	}
	if !bytes.Equal(back, data) {
		return fmt.Errorf("%d bytes came back, %d were sent, and they aren't the same", len(back), n)
	}
	return nil
}
