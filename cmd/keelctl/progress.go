package main

import (
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar is a progress bar on stderr, where that is a terminal; elsewhere it is nothing. The nil bar is nothing, too.
type bar struct {
	group *mpb.Progress
	bar   *mpb.Bar

	mu      sync.Mutex
	message string
}

// newBar begins a bar. total is 0 where it isn't known; bytes says that it counts them.
func (a *app) newBar(name string, total int64, bytes bool) *bar {
	if !a.terminal.Stderr() {
		return nil
	}
	columns, _ := a.terminal.Size()
	b := &bar{group: mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(min(columns, 64)), mpb.WithRefreshRate(150*time.Millisecond), mpb.WithAutoRefresh())}
	before := []decor.Decorator{decor.Name(name, decor.WCSyncSpaceR)}
	after := []decor.Decorator{decor.Any(func(decor.Statistics) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return " " + b.message
	})}
	if bytes {
		after = []decor.Decorator{decor.CountersKibiByte("% .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), "  % .1f")}
	}
	b.bar = b.group.AddBar(total, mpb.PrependDecorators(before...), mpb.AppendDecorators(after...), mpb.BarRemoveOnComplete())
	return b
}

// set says how far it is, and what it is doing.
func (b *bar) set(done, total int64, message string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.message = message
	b.mu.Unlock()
	if total > 0 {
		b.bar.SetTotal(total, false)
	}
	b.bar.SetCurrent(done)
}

// end takes the bar away.
func (b *bar) end() {
	if b == nil {
		return
	}
	b.bar.Abort(true)
	b.group.Wait()
}

// reader counts what is read through it.
func (b *bar) reader(r io.Reader, from int64) io.Reader {
	if b == nil {
		return r
	}
	return &counted{r, b, from}
}

type counted struct {
	io.Reader
	bar  *bar
	done int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	c.bar.bar.SetCurrent(c.done)
	return n, err
}
