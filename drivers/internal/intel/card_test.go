package intel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keel/drivers/nic"
	"keel/drivers/pci"
)

func frameOf(i, n int) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(i + k)
	}
	return b
}

func TestFramesGoBothWays(t *testing.T) {
	chip, card, s := started(t)
	if card.MAC() != testMAC || card.Link().String() != "1000Mbit/s" {
		t.Errorf("%v, %v", card.MAC(), card.Link())
	}
	for i := range 3*rxEntries + 7 {
		n := 60 + i%1454
		if !chip.receive(frameOf(i, n), rxDD|rxEOP|rxTCPCS) {
			t.Fatalf("the ring is full at %d", i)
		}
		if i%100 == 99 || i == 3*rxEntries+6 {
			card.service(false)
		}
		if !card.Send(&nic.Frame{Parts: [][]byte{frameOf(i, 54), frameOf(i+54, n-54)}}) {
			t.Fatalf("frame %d was dropped", i)
		}
	}
	for i := range 3*rxEntries + 7 {
		want := frameOf(i, 60+i%1454)
		if !bytes.Equal(s.frames[i], want) || !s.summed[i] {
			t.Fatalf("received %d: % x, summed %v", i, s.frames[i][:16], s.summed[i])
		}
		if !bytes.Equal(chip.sent[i], want) {
			t.Fatalf("sent %d: % x", i, chip.sent[i][:16])
		}
	}
	if st := card.Stats(); st.Received != 3*rxEntries+7 || st.Sent != st.Received || st.Dropped+st.Bad+st.Resets != 0 {
		t.Errorf("%+v", st)
	}
}

func TestFullRingLosesNothingThatWasTaken(t *testing.T) {
	chip, card, s := started(t)
	n := 0
	for chip.receive(frameOf(n, 64), rxDD|rxEOP) {
		n++
	}
	if n != rxEntries-1 {
		t.Errorf("the ring takes %d", n)
	}
	card.service(false)
	if len(s.frames) != n || !chip.receive(frameOf(0, 64), rxDD|rxEOP) {
		t.Errorf("%d of %d came", len(s.frames), n)
	}
}

func TestChecksumsAreTheCards(t *testing.T) {
	chip, card, s := started(t)
	f := frameOf(1, 100)
	binary.BigEndian.PutUint16(f[50:], 0x1234) // the pseudo-header's sum
	for range 3 {                              // the context is told once
		if !card.Send(&nic.Frame{Parts: [][]byte{f}, Sum: nic.Checksum{Start: 34, Offset: 16}}) {
			t.Fatal("dropped")
		}
	}
	card.Send(&nic.Frame{Parts: [][]byte{f}, Sum: nic.Checksum{Start: 54, Offset: 6}})
	for i, sent := range chip.sent {
		start, at := 34, 50
		if i == 3 {
			start, at = 54, 60
		}
		if got, want := binary.BigEndian.Uint16(sent[at:]), ^sum(f[start:]); got != want {
			t.Errorf("frame %d: %#x, want %#x", i, got, want)
		}
	}
	if *chip.reg(regTDT) != 6 {
		t.Errorf("%d descriptors for 4 frames and 2 contexts", *chip.reg(regTDT))
	}
	for _, bad := range []nic.Checksum{{Start: 34, Offset: 65}, {Start: 2, Offset: 2}, {Start: 250, Offset: 16}} {
		if card.Send(&nic.Frame{Parts: [][]byte{f}, Sum: bad}) {
			t.Errorf("%+v was taken", bad)
		}
	}
	for _, state := range []uint64{rxIXSM | rxTCPCS, rxTCPCS | rxTCPE, rxTCPCS | rxIPE, 0} {
		chip.receive(f, rxDD|rxEOP|state)
	}
	card.service(false)
	for i, summed := range s.summed {
		if summed {
			t.Errorf("%d was taken for summed", i)
		}
	}
}

func TestLinkChanges(t *testing.T) {
	chip, card, s := started(t)
	chip.link(false)
	card.service(false)
	if card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
		t.Error("sent without a link")
	}
	chip.link(true)
	card.service(false)
	if !card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
		t.Error("not sent, with the link back")
	}
	if got := fmt.Sprint(s.links); got != "[1000Mbit/s down 1000Mbit/s]" {
		t.Errorf("told of %s", got)
	}
	// Seen on patrol where the interrupt is lost.
	chip.link(false)
	*chip.reg(regICR) = 0
	card.service(true)
	if len(s.links) != 4 {
		t.Errorf("told of %v", s.links)
	}
}

func TestBrokenCardIsReset(t *testing.T) {
	for _, c := range []struct {
		name    string
		breakIt func(*chip, *Card)
		want    string
	}{
		{"longer than its buffer", func(c *chip, _ *Card) { c.receive(frameOf(0, 60), rxDD|rxEOP|0x8000) }, "in a buffer of 2048"},
		{"without an end", func(c *chip, _ *Card) { c.receive(frameOf(0, 60), rxDD) }, "receive descriptor 0"},
		{"sends nothing", func(c *chip, card *Card) {
			c.hung = true
			card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}})
			time.Sleep(2 * stuck)
			c.hung = false
		}, "has not been sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chip, card, s := started(t)
				time.Sleep(2 * resetEvery)
				before := chip.resets
				c.breakIt(chip, card)
				card.service(true)
				if chip.resets != before+1 || len(s.trouble) != 1 || !strings.Contains(s.trouble[0].Error(), c.want) {
					t.Fatalf("%d resets, %v", chip.resets-before, s.trouble)
				}
				n := len(s.frames)
				if !chip.receive(frameOf(7, 99), rxDD|rxEOP) || !card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
					t.Error("it doesn't go on")
				}
				card.service(false)
				if len(s.frames) != n+1 || card.Stats().Resets != 1 {
					t.Errorf("%d frames, %+v", len(s.frames), card.Stats())
				}
				// Again at once: it waits.
				chip.receive(frameOf(0, 60), rxDD)
				card.service(false)
				if chip.resets != before+1 {
					t.Error("it was reset twice within a second")
				}
				time.Sleep(2 * resetEvery)
				card.service(true)
				if chip.resets != before+2 {
					t.Error("it wasn't reset later")
				}
			})
		})
	}
}

func TestCardThatGoesAwayAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chip, card, s := started(t)
		chip.gone = true
		for range 5 {
			time.Sleep(2 * resetEvery)
			card.service(true)
		}
		if card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) || len(s.trouble) != 1 {
			t.Errorf("trouble %v", s.trouble)
		}
		chip.gone = false
		time.Sleep(2 * resetEvery)
		card.service(true)
		if !card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60)}}) {
			t.Error("it doesn't go on")
		}
	})
}

func TestCardsThatCannotBeOpened(t *testing.T) {
	m := Model{Name: "test", EERDDone: 1 << 4, EERDShift: 8}
	chip, _, fn := newChip()
	chip.noRAL = true
	if c, err := Open(fn, m); err != nil || c.MAC() != testMAC {
		t.Errorf("from the EEPROM: %v", err)
	}
	chip, _, fn = newChip()
	chip.stuck = true
	*chip.reg(regCTRL) = ctrlRST
	if _, err := Open(fn, m); err == nil || !strings.Contains(err.Error(), "doesn't end its reset") {
		t.Errorf("stuck: %v", err)
	}
	chip, _, fn = newChip()
	chip.gone = true
	if _, err := Open(fn, m); err == nil {
		t.Error("a card that isn't there was opened")
	}
	_, h, _ := newChip()
	h.Functions[pci.At(0, 3, 0)].Put32(0x10, 1) // ports
	if _, err := Open(pci.Walk(h)[0], m); err == nil {
		t.Error("ports were taken for registers")
	}
}

// FuzzReceive lets a card, of PCI or of PCI Express, write what it likes into its descriptors: nothing may be passed on that is
// longer than a buffer, and the driver goes on or resets the card.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{60, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 0, 0, 3, 0, 0, 0}, true)
	f.Add(bytes.Repeat([]byte{0xFF}, 8*rxEntries), false)
	f.Fuzz(func(t *testing.T, words []byte, express bool) {
		chip, card, s := startedAs(t, express)
		bus := uint64(*chip.reg(regRDBAL)) | uint64(*chip.reg(regRDBAH))<<32
		ring := chip.host.At(bus, rxEntries*descSize)
		for i := 0; len(words) >= 8; i++ {
			copy(ring[i%rxEntries*descSize+8:], words[:8])
			binary.LittleEndian.PutUint64(ring[i%rxEntries*descSize:], uint64(i)<<32) // the address, too
			words = words[8:]
			if i%5 == 4 {
				card.service(i%10 == 9)
			}
		}
		card.service(false)
		for _, b := range s.frames {
			if len(b) < nic.HeaderSize || len(b) > bufferSize {
				t.Fatalf("a frame of %d bytes", len(b))
			}
		}
		// Whatever it was given last, descriptors name the driver's own buffers.
		if card.broken == nil {
			last := (card.rx.head + rxEntries - 1) % rxEntries
			if len(s.frames) > 0 && binary.LittleEndian.Uint64(ring[last*descSize:]) != card.rx.buffer(last) {
				t.Fatal("a descriptor names other memory")
			}
		}
	})
}

// FuzzSend lets a card mark what it likes as sent.
func FuzzSend(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0xFF, 3, 0x81})
	f.Fuzz(func(t *testing.T, acts []byte) {
		chip, card, _ := started(t)
		chip.hung = true
		bus := uint64(*chip.reg(regTDBAL)) | uint64(*chip.reg(regTDBAH))<<32
		ring := chip.host.At(bus, txEntries*descSize)
		for _, a := range acts[:min(len(acts), 200)] {
			if a&0x80 != 0 {
				ring[int(a&0x7F)*descSize+12] ^= 1
				continue
			}
			if card.tx.used <= txEntries-reserve { // it would wait
				card.Send(&nic.Frame{Parts: [][]byte{frameOf(0, 60+int(a))}, Sum: nic.Checksum{Start: 14 + int(a%3), Offset: 2}})
			}
			if card.tx.used < 0 || card.tx.used > txEntries || card.tx.head < 0 || card.tx.head >= txEntries {
				t.Fatalf("%d of the ring are used from %d on", card.tx.used, card.tx.head)
			}
		}
	})
}
