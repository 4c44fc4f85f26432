package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/test/machine"
	"keel/vmkernel/seed"
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
	return &machine.Network{Device: device, TCP: map[int]int{p: port}}, localhost(p)
}

func localhost(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

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

// TestCableIsPulled pulls the cable out while data flows, and plugs it in again: the connection goes on.
func TestCableIsPulled(t *testing.T) {
	image := machine.BuildImage(t, "./test/netecho")
	for _, device := range []string{"e1000", "e1000e", "virtio-net-pci,disable-legacy=on"} {
		t.Run(device, func(t *testing.T) {
			n, address := network(t, device, echoPort)
			words := ""
			if strings.HasPrefix(device, "e1000") { // whose first base address register is memory
				words = "grants"
			}
			p := machine.Boot(t, machine.QEMU{Kernel: image, Network: n, MemMiB: 512, Extra: machine.QMP(), Args: words}, 3*time.Minute)
			p.FailOn(netFailed)
			wait := func(re *regexp.Regexp) []string {
				t.Helper()
				m, err := p.WaitFor(t.Context(), re)
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			// A driver gets nothing that isn't a device's.
			if words != "" {
				if m := wait(regexp.MustCompile(`^netecho\| grants refused=(\d+)$`)); m[1] != "22" {
					t.Errorf("%s grants were refused", m[1])
				}
			}
			wait(netAddressed)
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			ping := func() {
				t.Helper()
				b := []byte("hello there")
				if _, err := conn.Write(b); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, b); err != nil || string(b) != "hello there" {
					t.Fatalf("%q, %v", b, err)
				}
			}
			ping()
			for range 2 {
				if err := p.Command("set_link", map[string]any{"name": "nic", "up": false}); err != nil {
					t.Fatal(err)
				}
				wait(regexp.MustCompile(`^netecho\| state link=down `))
				if err := p.Command("set_link", map[string]any{"name": "nic", "up": true}); err != nil {
					t.Fatal(err)
				}
				wait(regexp.MustCompile(`^netecho\| state link=(up|1000Mbit/s) addresses=\[10\.0\.2\.15`))
				ping()
			}
			conn.(*net.TCPConn).CloseWrite()
			wait(netEchoed2)
		})
	}
}

// netEchoed2 also takes frames that were dropped while the cable was out.
var netEchoed2 = regexp.MustCompile(`^netecho\| echoed 33 bytes .*: <nil>; .* bad=0 resets=0$`)

// TestHostGetsItsAddress boots Keel with a seed that gives it a network, and without.
func TestHostGetsItsAddress(t *testing.T) {
	given := regexp.MustCompile(`^level=INFO msg=network nic=0000:\S+ driver=(\S+) mac=` + machine.MAC + ` link=(up|1000Mbit/s) address=10\.0\.2\.15/24`)
	seedWith := func(m seed.Management) string {
		h := hostWith()
		h.WhenIdle, h.Management = seed.IdleStay, m
		data, err := seed.Pack(h, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		path := t.TempDir() + "/seed.tar"
		writeFile(t, path, data)
		return path
	}
	auto := seedWith(seed.Management{NIC: seed.NICAuto})
	for _, c := range []struct{ name, device, seed, want string }{
		{"virtio-net", "virtio-net-pci,disable-legacy=on", auto, "virtio-net"},
		{"by its address", "e1000", seedWith(seed.Management{NIC: machine.MAC}), "e1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &machine.Network{Device: c.device}
			r := run{machine.Boot(t, machine.QEMU{Kernel: image(t), Seed: c.seed, Network: n, MemMiB: 512}, 3*time.Minute), t}
			if _, err := r.WaitFor(t.Context(), regexp.MustCompile(`msg=ready `)); err != nil {
				t.Fatal(err)
			}
			m, err := r.WaitFor(t.Context(), given)
			if err != nil {
				t.Fatal(err)
			}
			if m[1] != c.want {
				t.Errorf("driver %s, want %s", m[1], c.want)
			}
			r.wantNoErrors()
		})
	}
	for _, c := range []struct{ name, seed, device, want string }{
		{"no card", auto, "", `^level=ERROR msg="no network" error="the machine has no network card"$`},
		{"no driver", auto, "rtl8139", `^level=ERROR msg="no network" error="there is no driver for any`},
		{"another card", seedWith(seed.Management{NIC: "52:54:00:ff:ff:ff"}), "e1000", `^level=ERROR msg="no network" error="52:54:00:ff:ff:ff: no network card that has a driver has that address"$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine.QEMU{Kernel: image(t), Seed: c.seed, MemMiB: 512}
			if c.device != "" {
				m.Network = &machine.Network{Device: c.device}
			}
			p := machine.Boot(t, m, 3*time.Minute)
			if _, err := p.WaitFor(t.Context(), regexp.MustCompile(c.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNetworkBesideVM has a card interrupt a host whose processor runs a guest: connections to a closed
// port are refused meanwhile.
func TestNetworkBesideVM(t *testing.T) {
	t.Parallel()
	h := hostWith()
	h.Management.NIC = seed.NICAuto
	given := regexp.MustCompile(`^level=INFO msg=network .* address=10\.0\.2\.15/24`)
	data, err := seed.Pack(h, []seed.VM{linux("tux", 1, 128*mib, "")}, files(t, fileLinux, fileInitrd))
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/seed.tar"
	writeFile(t, path, data)
	n, address := network(t, "e1000", echoPort+1) // where nobody listens
	for name, m := range map[string]func() machine.Machine{
		"QEMU":  func() machine.Machine { return machine.QEMU{Kernel: image(t), Seed: path, Network: n, MemMiB: 1024} },
		"Bochs": func() machine.Machine { return machine.Bochs{ISO: medium(t, path), Network: n, MemMiB: 1024} },
	} {
		t.Run(name, func(t *testing.T) {
			r := run{machine.Boot(t, m(), 10*time.Minute), t}
			if _, err := r.WaitFor(t.Context(), regexp.MustCompile(`msg="vm started"`)); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(r.Lines(), given.MatchString) {
				if _, err := r.WaitFor(t.Context(), given); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 10 {
				if err := refused(address); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			}
			if len(r.byVM(stoppedLine)) != 0 {
				t.Error("the guest stopped before all connections were answered")
			}
			if err := r.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			r.wantNoErrors()
			r.wantReasons(map[string]string{"tux": "power-off"})
		})
	}
}

// refused connects to a port where nobody listens: the emulator takes the connection, and ends it once
// the machine has said no.
func refused(address string) error {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	n, err := conn.Read(make([]byte, 1))
	if timeout, ok := err.(net.Error); n != 0 || ok && timeout.Timeout() {
		return fmt.Errorf("%d bytes, %w", n, err)
	}
	return nil
}
