package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
)

// maxLine bounds a line of a stream, bytes.
const maxLine = 256 << 10

// Stream calls a route that answers with lines, and gives each to line until that fails or the context ends. Empty lines
// are left out. It returns nil where the host ends the stream.
func (c *Client) Stream(ctx context.Context, path string, line func(json.RawMessage) error) error {
	answer, err := c.open(ctx, Request{Method: "GET", Path: path})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := line(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
		return c.wrap(ctx, err)
	}
	return nil
}
