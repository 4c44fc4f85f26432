package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// heartbeat is how often an empty line says that the host is still there.
const heartbeat = 15 * time.Second

// streamed are how many lines go out together.
const streamed = 64

var mediaLines = []string{"application/x-ndjson"}

// stream sends a ring's entries as lines of JSON. show says which the caller sees, and as what; lost says what stands
// for entries that are gone.
func stream[T any](c *call, r *ring[T], show func(T) (any, bool), lost func(missed, next uint64) any) error {
	from := c.integer("from", 0)
	next := uint64(max(from, 0))
	follow := c.boolean("follow", true)
	if c.query.Get("from") == "" {
		next = r.last() + 1
		if !follow {
			next = 1
		}
	} else if next == 0 {
		next = 1
	}
	c.rest()
	c.begin(mediaLines)
	flusher := http.NewResponseController(c.w)
	out := json.NewEncoder(c.w)
	var buf [streamed]T
	for {
		c.extend(0, c.s.times.write)
		if flusher.Flush() != nil {
			return errGone
		}
		got, missed, more := r.read(next, buf[:])
		if missed > 0 {
			if next > 1 || from > 0 {
				if out.Encode(lost(missed, next+missed)) != nil {
					return errGone
				}
			}
			next += missed
		}
		for _, v := range got {
			if line, ok := show(v); ok && out.Encode(line) != nil {
				return errGone
			}
		}
		next += uint64(len(got))
		if more == nil {
			continue
		}
		if !follow {
			return nil
		}
		wait, cancel := context.WithTimeout(c.ctx(), heartbeat)
		select {
		case <-more:
		case <-wait.Done():
			if c.ctx().Err() != nil || c.s.ctx.Err() != nil {
				cancel()
				return errGone
			}
			if _, err := c.w.Write([]byte("\n")); err != nil {
				cancel()
				return errGone
			}
		case <-c.s.ctx.Done():
			cancel()
			return errGone
		}
		cancel()
	}
}

// begin sends the head of an answer that goes on.
func (c *call) begin(media []string) {
	c.patient()
	c.w.Header()["Content-Type"] = media
	c.began = true
	c.w.WriteHeader(http.StatusOK)
}
