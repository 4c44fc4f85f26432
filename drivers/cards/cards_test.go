package cards

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"keel/drivers/internal/fake"
	"keel/drivers/nic"
	"keel/drivers/pci"
)

// card is a network card whose link comes up at a time; zero: never.
type card struct {
	nic.NIC
	mac nic.MAC
	up  time.Time
}

func (c *card) MAC() nic.MAC   { return c.mac }
func (c *card) Link() nic.Link { return nic.Link{Up: !c.up.IsZero() && !time.Now().Before(c.up)} }

const never = -1

func macOf(i int) nic.MAC { return nic.MAC{2, 0, 0, 0, 0, byte(i + 1)} }

var errBroken = errors.New("it doesn't answer")

// machine has cards whose links come up after these times. broken has the first not open.
func machine(broken bool, after ...time.Duration) (found []Card) {
	h := fake.NewHost()
	for i := range after {
		h.Add(pci.At(0, 3+i, 0), 0x1AF4, 0x1000, pci.ClassEthernet)
	}
	for i, f := range pci.Walk(h) {
		c := &card{mac: macOf(i)}
		if after[i] != never {
			c.up = time.Now().Add(after[i])
		}
		open := func(*pci.Function) (nic.NIC, error) { return c, nil }
		if broken && i == 0 {
			open = func(*pci.Function) (nic.NIC, error) { return nil, errBroken }
		}
		f.Enable() // as the firmware may have left it
		found = append(found, Card{Function: f, Driver: "fake", open: open})
	}
	return found
}

// mastering says which cards may use the bus.
func mastering(found []Card) (list []int) {
	for i, c := range found {
		if c.Function.Config(4, 2)&pci.CommandMaster != 0 {
			list = append(list, i)
		}
	}
	return list
}

func TestCardIsChosenByItsLinkOrAddress(t *testing.T) {
	for name, c := range map[string]struct {
		broken bool
		after  []time.Duration
		mac    nic.MAC
		want   int
		within time.Duration
	}{
		"the only one, without a link":  {false, []time.Duration{never}, nic.MAC{}, 0, 0},
		"the first with a link":         {false, []time.Duration{never, 0, 0}, nic.MAC{}, 1, 0},
		"the link that comes up sooner": {false, []time.Duration{2 * time.Second, time.Second}, nic.MAC{}, 1, 1100 * time.Millisecond},
		"the first, where none has one": {false, []time.Duration{never, time.Minute}, nic.MAC{}, 0, linkWait + 100*time.Millisecond},
		"by address, without a link":    {false, []time.Duration{0, never}, macOf(1), 1, 0},
		"the one that can be opened":    {true, []time.Duration{0, never}, nic.MAC{}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				found := machine(c.broken, c.after...)
				began := time.Now()
				n, err := Choose(found, c.mac)
				if err != nil {
					t.Fatal(err)
				}
				if n.MAC() != macOf(c.want) || time.Since(began) > c.within {
					t.Errorf("%v after %v", n.MAC(), time.Since(began))
				}
				for _, i := range mastering(found) {
					if i != c.want && found[i].NIC != nil {
						t.Errorf("card %d may use the bus, card %d was chosen", i, c.want)
					}
				}
				if found[c.want].Function.Config(4, 2)&pci.CommandMaster == 0 {
					t.Error("the chosen one may not use the bus")
				}
			})
		})
	}
}

func TestWhyThereIsNoCardIsSaid(t *testing.T) {
	undriven := machine(false, 0)
	undriven[0].open = nil
	for name, c := range map[string]struct {
		found []Card
		mac   nic.MAC
		want  error
	}{
		"none":            {nil, nic.MAC{}, ErrNone},
		"without driver":  {undriven, nic.MAC{}, ErrNoDriver},
		"broken":          {machine(true, 0), nic.MAC{}, errBroken},
		"another address": {machine(false, 0, 0), macOf(7), ErrNoSuch},
	} {
		if _, err := Choose(c.found, c.mac); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestAnotherCardIsPickedLater among those that Choose has opened and switched off.
func TestAnotherCardIsPickedLater(t *testing.T) {
	found := machine(false, 0, 0)
	if _, err := Choose(found, macOf(0)); err != nil {
		t.Fatal(err)
	}
	n, err := Pick(found, macOf(1))
	if err != nil || n.MAC() != macOf(1) || len(mastering(found)) != 2 {
		t.Errorf("%v, %v, on: %v", n, err, mastering(found))
	}
	if Rest(found, n); len(mastering(found)) != 1 || mastering(found)[0] != 1 {
		t.Errorf("on: %v", mastering(found))
	}
}
