// Package cards knows the drivers of network cards, finds the cards and chooses one.
//
// The rule that it keeps: only the card that is asked for is touched, and with `auto` those that may
// have a link, in the order of their addresses.
package cards

import (
	"errors"
	"fmt"
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

// Errors of Choose.
var (
	ErrNone     = errors.New("the machine has no network card")
	ErrNoDriver = errors.New("there is no driver for any of the machine's network cards")
	ErrNoSuch   = errors.New("no network card that has a driver has that address")
)

// linkWait is how long a card may take to find its link, where there are several.
const linkWait = 3 * time.Second

// Choose opens the card with an address, or, where that is zero, the first whose link is up, and
// where none is, the first. The others are switched off. Cards that can't be opened are named in the
// error, if none is left.
func Choose(found []Card, mac nic.MAC) (nic.NIC, Card, error) {
	if len(found) == 0 {
		return nil, Card{}, ErrNone
	}
	type opened struct {
		nic.NIC
		card Card
	}
	var list []opened
	var failed []error
	known := false
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
		c.NIC = n
		list = append(list, opened{n, *c})
	}
	switch {
	case !known:
		return nil, Card{}, ErrNoDriver
	case len(list) == 0:
		return nil, Card{}, errors.Join(failed...)
	}
	chosen := -1
	if mac != (nic.MAC{}) {
		for i, o := range list {
			if o.MAC() == mac {
				chosen = i
			}
		}
		if chosen < 0 {
			for _, o := range list {
				o.card.Function.Disable()
			}
			return nil, Card{}, errors.Join(append(failed, fmt.Errorf("%v: %w", mac, ErrNoSuch))...)
		}
	} else {
		chosen = 0
		for deadline := time.Now().Add(linkWait); len(list) > 1; time.Sleep(50 * time.Millisecond) {
			up := -1
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].Link().Up {
					up = i
				}
			}
			if up >= 0 {
				chosen = up
				break
			}
			if time.Now().After(deadline) {
				break
			}
		}
	}
	for i, o := range list {
		if i != chosen {
			o.card.Function.Disable()
		}
	}
	return list[chosen].NIC, list[chosen].card, nil
}

// Pick finds the card with an address among those that Choose has opened, or, where that is zero, the first whose link is up,
// and switches it on.
func Pick(found []Card, mac nic.MAC) (nic.NIC, error) {
	for _, c := range found {
		if c.NIC != nil && (mac == nic.MAC{} && c.NIC.Link().Up || c.NIC.MAC() == mac) {
			return c.NIC, c.Function.Enable()
		}
	}
	if mac == (nic.MAC{}) {
		return nil, errors.New("no network card that has a driver has a link")
	}
	return nil, fmt.Errorf("%v: %w", mac, ErrNoSuch)
}

// Rest switches the cards off but one.
func Rest(found []Card, but nic.NIC) {
	for _, c := range found {
		if c.NIC != nil && c.NIC != but {
			c.Function.Disable()
		}
	}
}
