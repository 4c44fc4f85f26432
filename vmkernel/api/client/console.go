package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"

	"github.com/coder/websocket"

	"keel/vmkernel/api"
)

// ConsoleOptions say how a console is opened.
type ConsoleOptions struct {
	Watch bool  // only read
	Take  bool  // take it from who holds it
	From  int64 // offset of the first byte; negative: what comes from now on
}

// Console is an open console. Read and Write may be called by one goroutine each.
type Console struct {
	c     *Client
	ws    *websocket.Conn
	Hello api.ConsoleMessage
}

// maxConsole bounds a message of a console, bytes.
const maxConsole = 64 << 10

// Console opens a VM's console. Where somebody else holds it the error's code is api.CodeHeld, and its details say who.
func (c *Client) Console(ctx context.Context, vm, port string, o ConsoleOptions) (*Console, error) {
	q := url.Values{"from": {strconv.FormatInt(o.From, 10)}}
	if o.Watch {
		q.Set("mode", api.ModeWatch)
	}
	if o.Take {
		q.Set("take", "true")
	}
	path := "/v1/vms/" + url.PathEscape(vm) + "/console/" + url.PathEscape(port) + "?" + q.Encode()
	ws, answer, err := websocket.Dial(ctx, "wss://"+c.config.Address+path, &websocket.DialOptions{
		HTTPClient: c.http1, Subprotocols: []string{api.ConsoleProtocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if answer != nil && answer.StatusCode >= 300 {
			return nil, failure(answer)
		}
		return nil, c.wrap(ctx, err)
	}
	ws.SetReadLimit(maxConsole)
	out := &Console{c: c, ws: ws}
	kind, text, err := ws.Read(ctx)
	if err == nil && (kind != websocket.MessageText || json.Unmarshal(text, &out.Hello) != nil || out.Hello.Event != "hello") {
		err = errors.New("the host doesn't begin with a hello")
	}
	if err != nil {
		ws.CloseNow()
		return nil, c.wrap(ctx, err)
	}
	return out, nil
}

// Read returns what comes next: bytes of the guest's, or a message of the host's. It ends with io.EOF once the VM is gone.
func (t *Console) Read(ctx context.Context) ([]byte, *api.ConsoleMessage, error) {
	for {
		kind, p, err := t.ws.Read(ctx)
		switch {
		case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
			return nil, nil, io.EOF
		case err != nil:
			return nil, nil, t.c.wrap(ctx, err)
		case kind == websocket.MessageBinary:
			return p, nil, nil
		}
		var m api.ConsoleMessage
		if json.Unmarshal(p, &m) == nil { // what isn't known is left out
			return nil, &m, nil
		}
	}
}

// Write types.
func (t *Console) Write(ctx context.Context, p []byte) error {
	const piece = 4 << 10
	for len(p) > 0 {
		n := min(len(p), piece)
		if err := t.ws.Write(ctx, websocket.MessageBinary, p[:n]); err != nil {
			return t.c.wrap(ctx, err)
		}
		p = p[n:]
	}
	return nil
}

// Close ends the connection.
func (t *Console) Close() error { return t.ws.Close(websocket.StatusNormalClosure, "") }
