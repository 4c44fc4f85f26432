package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

// maxLine bounds a line of a stream, in bytes.
const maxLine = 1 << 20

// ErrStop is what a stream's receiver returns to end it.
var ErrStop = errors.New("stop")

// Lines calls receive with each line of JSON that a stream sends, until it ends, ctx does, receive returns an error, or
// the host has been silent for too long. An empty line only says that the host is still there.
func (c *Conn) Lines(ctx context.Context, path string, query url.Values, receive func(line []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := Request{Method: http.MethodGet, Path: path, Query: query}
	response, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	dead := false
	timer := time.AfterFunc(silence, func() {
		dead = true
		cancel()
	})
	defer timer.Stop()
	lines := bufio.NewReaderSize(response.Body, 64<<10)
	for {
		line, err := readLine(lines)
		if len(line) > 0 {
			if bad := receive(line); errors.Is(bad, ErrStop) {
				return nil
			} else if bad != nil {
				return bad
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !timer.Stop() && dead:
			return fail(Timeout, "%s has said nothing for %s: the connection is dead", c.where(), silence)
		case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return fail(Timeout, "%s: the time that was given for %s is over", c.where(), path)
		case err != nil:
			return c.failed(ctx, r, err)
		}
		timer.Reset(silence)
	}
}

// readLine reads a line without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("a line has more than %d bytes", maxLine)
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSpace(line), err
		}
	}
}

// Each decodes the lines of a stream.
func Each[T any](ctx context.Context, c *Conn, path string, query url.Values, receive func(T) error) error {
	return c.Lines(ctx, path, query, func(line []byte) error {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return fail(Broken, "%s: a line of %s is not what was expected: %w", c.where(), path, err)
		}
		return receive(v)
	})
}

// WebSocket opens a WebSocket with a subprotocol. ctx bounds the opening alone.
func (c *Conn) WebSocket(ctx context.Context, path string, query url.Values, protocol string) (*websocket.Conn, error) {
	r := Request{Method: http.MethodGet, Path: path, Query: query}
	address := "https://" + c.config.Address + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	socket, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient:   c.plain,
		HTTPHeader:   http.Header{"User-Agent": {c.config.UserAgent}},
		Subprotocols: []string{protocol},
	})
	switch {
	case err != nil && response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		return nil, c.refused(r, response)
	case err != nil:
		return nil, c.failed(ctx, r, err)
	case socket.Subprotocol() != protocol:
		socket.CloseNow()
		return nil, fail(Broken, "%s: %s doesn't speak %s: another version of Keel?", c.where(), path, protocol)
	}
	return socket, nil
}
