package door

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

// gathered is a connection whose other end takes nothing until it reads, with one byte on its way there.
func gathered(t *testing.T) (g *gathering, other net.Conn) {
	here, there := net.Pipe()
	g = gather(here)
	if _, err := io.WriteString(g, "a"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return g, there
}

func TestWhatComesDuringAWriteGoesOutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, other := gathered(t)
		for _, s := range []string{"b", "cd", "e"} {
			if n, err := io.WriteString(g, s); n != len(s) || err != nil {
				t.Fatal(n, err)
			}
		}
		b := make([]byte, 16)
		for _, want := range []string{"a", "bcde"} { // a read of a Pipe is at most one write
			if n, err := other.Read(b); string(b[:n]) != want || err != nil {
				t.Errorf("%q %v, not %q", b[:n], err, want)
			}
		}
		g.Close()
	})
}

func TestWhatWasWrittenGoesOutBeforeTheConnectionCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, other := gathered(t)
		io.WriteString(g, "bye")
		g.Close() // doesn't wait
		if text, err := io.ReadAll(other); string(text) != "abye" || err != nil {
			t.Errorf("%q %v", text, err)
		}
		if _, err := g.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestWhoDoesNotReadHoldsUpItsWriterUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := gathered(t)
		written, ended := 0, make(chan error)
		go func() {
			for {
				n, err := io.WriteString(g, strings.Repeat("x", 1000))
				if written += n; err != nil {
					ended <- err
					return
				}
			}
		}()
		synctest.Wait()
		if written > mostGathered {
			t.Errorf("%d bytes wait", written)
		}
		g.Close() // doesn't wait, though its goroutine is in the midst of a write
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		<-g.done
	})
}

func TestAWriteThatFailsFailsTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, other := gathered(t)
		other.Close()
		<-g.done
		if _, err := g.Write([]byte("b")); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
		g.Close()
	})
}
