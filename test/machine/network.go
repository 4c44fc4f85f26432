package machine

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Network is a machine's network card in a network of its own, 10.0.2.0/24, which the emulator makes:
// with DHCP, which gives the first machine Address, a router at 10.0.2.2 and DNS at 10.0.2.3.
type Network struct {
	Device string      // QEMU's -device, such as "virtio-net-pci,disable-legacy=on"; Bochs has "e1000"
	MAC    string      // default MAC
	TCP    map[int]int // ports of 127.0.0.1 that lead to ports of the machine
	// Cable, where it isn't 0, has the card in no network of the emulator's: its frames go as UDP datagrams to the port of
	// 127.0.0.1 behind this one, and those that come to this one are for it.
	Cable int
}

// The machine's addresses.
const (
	MAC     = "52:54:00:12:34:56"
	Address = "10.0.2.15"
)

const bochsCard = "e1000"

func (n *Network) qemu() []string {
	if n == nil {
		return nil
	}
	if n.Cable != 0 {
		cable := fmt.Sprintf("dgram,id=net,local.type=inet,local.host=127.0.0.1,local.port=%d,remote.type=inet,remote.host=127.0.0.1,remote.port=%d", n.Cable, n.Cable+1)
		return []string{"-netdev", cable, "-device", n.device()}
	}
	user := "user,id=net"
	for host, guest := range n.TCP {
		user += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", host, guest)
	}
	return []string{"-netdev", user, "-device", n.device()}
}

func (n *Network) device() string {
	return n.Device + ",netdev=net,id=nic,mac=" + orDefault(n.MAC, MAC)
}

func (n *Network) bochsSlot() string {
	if n == nil {
		return ""
	}
	return ", slot1=" + bochsCard
}

// bochs returns lines of the configuration file, having written the network's own into dir.
func (n *Network) bochs(dir string) ([]string, error) {
	if n == nil {
		return nil, nil
	}
	if n.Device != bochsCard {
		return nil, fmt.Errorf("network card %q: Bochs has %s", n.Device, bochsCard)
	}
	card := fmt.Sprintf("%s: enabled=1, mac=%s, ethmod=", bochsCard, orDefault(n.MAC, MAC))
	if n.Cable != 0 {
		return []string{card + fmt.Sprintf("socket, ethdev=%d", n.Cable)}, nil
	}
	const file = "slirp.conf"
	text := "# slirp config\n"
	for host, guest := range n.TCP {
		text += fmt.Sprintf("hostfwd = tcp:127.0.0.1:%d-%s:%d\n", host, Address, guest)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return []string{card + "slirp, script=" + file}, nil
}

// FreeCable returns a port for Network.Cable that was free just now, and so was the one behind it.
func FreeCable(t testing.TB) int {
	t.Helper()
	for range 100 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		a.Close()
		if err == nil {
			b.Close()
			return port
		}
	}
	t.Fatal("machine: no two UDP ports in a row are free")
	return 0
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listened on just now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
