// Package cards knows the drivers of network cards, finds the cards and chooses one.
//
// The rule that it keeps: all cards that have a driver are opened, which says what their addresses and
// links are, and but the one that was picked all are switched off again: they reach no memory.
package cards

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"keel/drivers/e1000"
	"keel/drivers/e1000e"
	"keel/drivers/nic"
	"keel/drivers/pci"
	"keel/drivers/virtionet"
)

// A driver is one.
type driver struct {
	name    string
	matches func(*pci.Function) bool
	open    func(*pci.Function) (nic.NIC, error)
}

var drivers = []driver{
	{e1000.Name, e1000.Matches, e1000.Open},
	{e1000e.Name, e1000e.Matches, e1000e.Open},
	{virtionet.Name, virtionet.Matches, virtionet.Open},
}

// A Card is a network card that was found.
type Card struct {
	Function *pci.Function
	Driver   string  // "": none
	NIC      nic.NIC // of those that Choose has opened
	open     func(*pci.Function) (nic.NIC, error)
}

// Find finds the machine's network cards, those without a driver as well.
func Find(h pci.Host) (found []Card) {
	for _, f := range pci.Walk(h) {
		if f.Class != pci.ClassEthernet {
			continue
		}
		c := Card{Function: f}
		for _, d := range drivers {
			if d.matches(f) {
				c.Driver, c.open = d.name, d.open
				break
			}
		}
		found = append(found, c)
	}
	return found
}

// Errors of Choose and Pick.
var (
	ErrNone     = errors.New("the machine has no network card")
	ErrNoDriver = errors.New("there is no driver for any of the machine's network cards")
	ErrNoSuch   = errors.New("no network card that has a driver has that address")
)

// linkWait is how long a card may take to find its link, where there are several.
const linkWait = 3 * time.Second

// Choose opens the cards and picks the one with an address, or, where that is zero, as Pick does. The others are switched off.
// Cards that can't be opened are named in the error, if none is left.
func Choose(found []Card, mac nic.MAC) (nic.NIC, error) {
	if len(found) == 0 {
		return nil, ErrNone
	}
	var failed []error
	known, opened := false, false
	for i := range found {
		c := &found[i]
		if c.open == nil {
			continue
		}
		known = true
		n, err := c.open(c.Function)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		c.NIC, opened = n, true
	}
	if !known {
		return nil, ErrNoDriver
	}
	if !opened {
		return nil, errors.Join(failed...)
	}
	n, err := Pick(found, mac)
	Rest(found, n)
	if err != nil {
		return nil, errors.Join(append(failed, err)...)
	}
	return n, nil
}

// Pick finds the card with an address among those that Choose has opened, and switches it on. Where the address is zero that is
// the first whose link is up within a while, and where none is, the first.
func Pick(found []Card, mac nic.MAC) (nic.NIC, error) {
	var list []*Card
	for i := range found {
		if c := &found[i]; c.NIC != nil && (mac == nic.MAC{} || c.NIC.MAC() == mac) {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%v: %w", mac, ErrNoSuch)
	}
	up := -1
	for deadline := time.Now().Add(linkWait); len(list) > 1 && up < 0 && time.Now().Before(deadline); {
		if up = slices.IndexFunc(list, func(c *Card) bool { return c.NIC.Link().Up }); up < 0 {
			time.Sleep(50 * time.Millisecond)
		}
	}
	c := list[max(up, 0)]
	return c.NIC, c.Function.Enable()
}

// Rest switches the cards off that Choose has opened, but one.
func Rest(found []Card, but nic.NIC) {
	for _, c := range found {
		if c.NIC != nil && c.NIC != but {
			c.Function.Disable()
		}
	}
}
