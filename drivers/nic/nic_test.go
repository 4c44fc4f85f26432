package nic

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

type line chan uint64

func (l line) Wait(seen uint64) (uint64, error) {
	n, ok := <-l
	if !ok {
		return 0, fmt.Errorf("no line")
	}
	return n, nil
}

// TestCardWithoutInterruptsIsPolled serves a card that has something to do each time, and whose
// interrupts come for a while.
func TestCardWithoutInterruptsIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		irq := make(line)
		calls, patrols := 0, 0
		var trouble []error
		end := make(chan struct{})
		go func() {
			defer func() { recover() }() // the test ends Serve by a panic
			Serve(irq, func(patrol bool) bool {
				select {
				case <-end:
					panic("the end")
				default:
				}
				if patrol {
					patrols++
				} else {
					calls++
				}
				return true
			}, func(err error) { trouble = append(trouble, err) })
		}()
		for range 20 { // ten in a second, for two
			time.Sleep(100 * time.Millisecond)
			irq <- 1
		}
		synctest.Wait()
		if calls != 20 || patrols > 2 || len(trouble) != 0 {
			t.Errorf("%d calls, %d patrols, %v", calls, patrols, trouble)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(trouble) != 1 || patrols < 500 {
			t.Errorf("without interrupts: %d patrols, %v", patrols, trouble)
		}
		close(irq)
		synctest.Wait()
		if len(trouble) != 2 {
			t.Errorf("%v", trouble)
		}
		close(end)
		time.Sleep(time.Second)
	})
}
