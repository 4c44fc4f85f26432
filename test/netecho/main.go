// Netecho is a kernel for tests of the host's network: it takes the machine's first network card that
// has a link, gets an address, and sends back what comes to TCP port 443.
//
// It prints lines that begin with `netecho|`. Words on the command line: mac=ADDRESS chooses the card,
// ntp=ADDRESS and dns=NAME ask there once there is an address, grants tries what no driver may have.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	_ "keel/boot"
	"keel/drivers/cards"
	"keel/drivers/metal"
	"keel/drivers/nic"
	_ "keel/vmkernel/core"
	"keel/vmkernel/net"
	"keel/vmkernel/sys"
)

const port = 443

func say(format string, args ...any) { fmt.Printf("netecho| "+format+"\n", args...) }

func main() {
	var info sys.Info
	if err := sys.GetInfo(&info); err != nil {
		say("FAIL not on the bare machine: %v", err)
		os.Exit(1)
	}
	line, _, _ := bytes.Cut(info.CommandLine[:], []byte{0})
	words := map[string]string{}
	for _, w := range strings.Fields(string(line)) {
		key, value, _ := strings.Cut(w, "=")
		words[key] = value
	}
	say("FAIL %v", run(words))
	select {}
}

// run serves until something fails.
func run(words map[string]string) error {
	found := cards.Find(metal.Host{})
	for _, c := range found {
		say("card %v driver=%q", c.Function, c.Driver)
	}
	if _, ok := words["grants"]; ok && len(found) > 0 {
		n, err := tryGrants(found[0].Function.Address)
		if err != nil {
			return err
		}
		say("grants refused=%d", n)
	}
	var mac nic.MAC
	if w := words["mac"]; w != "" {
		if _, err := fmt.Sscanf(w, "%02x:%02x:%02x:%02x:%02x:%02x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]); err != nil {
			return err
		}
	}
	n, err := cards.Choose(found, mac)
	if err != nil {
		return err
	}
	say("chosen driver=%s mac=%v link=%v", n.Driver(), n.MAC(), n.Link())
	addressed := make(chan struct{}, 1)
	s, err := net.New(n, net.Config{Name: "netecho"}, net.Events{
		Changed: func(st net.State) {
			say("state link=%v addresses=%v routers=%v dns=%v ntp=%v dhcp=%v", st.Link, st.Addresses, st.Routers, st.DNS, st.NTP, st.DHCP)
			if st.DHCP.IsValid() {
				select {
				case addressed <- struct{}{}:
				default:
				}
			}
		},
		Warning: func(_ nic.NIC, err error) { say("WARN %v", err) },
	})
	if err != nil {
		return err
	}
	l, err := s.Listen(port)
	if err != nil {
		return err
	}
	say("listening on %d", port)
	go ask(s, addressed, words)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			start, from := time.Now(), conn.RemoteAddr()
			n, err := io.Copy(conn, conn)
			err = errors.Join(err, conn.Close())
			st := s.NIC().Stats()
			say("echoed %d bytes to %v in %v: %v; sent=%d received=%d dropped=%d bad=%d resets=%d", n, from,
				time.Since(start).Round(time.Millisecond), err, st.Sent, st.Received, st.Dropped, st.Bad, st.Resets)
			var m sys.Stats
			sys.GetStats(&m)
			say("used=%dKiB interrupts=%d", m.UsedMemory>>10, m.Interrupts)
		}()
	}
}

// ask tries the clients.
func ask(s *net.Stack, addressed chan struct{}, words map[string]string) {
	<-addressed
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if w := words["ntp"]; w != "" {
		server, err := netip.ParseAddr(w)
		if err == nil {
			var offset time.Duration
			offset, err = s.AskTime(ctx, server)
			say("time from %v: off by %v: %v", server, offset, err)
			if err == nil {
				err = sys.SetClock(time.Now().Add(offset).UnixNano())
				say("clock set to %v: %v", time.Now().UTC().Format(time.RFC3339), err)
			}
		} else {
			say("FAIL %v", err)
		}
	}
	if w := words["dns"]; w != "" {
		list, err := s.Resolver().LookupNetIP(ctx, "ip", w)
		say("name %s is %v: %v", w, list, err)
	}
}
