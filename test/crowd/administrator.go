package crowd

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"keel/drivers/nic"
	keelnet "keel/vmkernel/net"
)

// Administrator is a host with a TCP/IP of its own. Its address has the network's length.
func (n *Network) Administrator(address netip.Prefix) (*keelnet.Stack, error) {
	return keelnet.New(n.Station(nic.MAC{2, 0, 0, 0, 0xAD, 1}), keelnet.Config{Name: "administrator", Addresses: []netip.Prefix{address}}, keelnet.Events{})
}

// Forward takes connections on a port of 127.0.0.1 and carries them on through a stack. It goes on until the listener is closed.
func Forward(through *keelnet.Stack, to netip.AddrPort) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go forward(near, through, to)
		}
	}()
	return l, nil
}

func forward(near net.Conn, through *keelnet.Stack, to netip.AddrPort) {
	defer near.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	far, err := through.Dial(ctx, "tcp", to.String())
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{}, 2)
	pump := func(to, from net.Conn) {
		io.Copy(to, from)
		done <- struct{}{}
	}
	go pump(far, near)
	go pump(near, far)
	<-done
}
