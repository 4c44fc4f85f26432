package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
	"keel/vmkernel/console"
)

// Limits of a console's connection.
const (
	maxInput    = 32 << 10         // bytes of one message
	outputPiece = 16 << 10         // bytes of one message
	pingEvery   = 20 * time.Second // and the answer has to come within pingTime
	pingTime    = 10 * time.Second
	pieceTime   = 20 * time.Second // for a message to go out
)

// port returns the serial port that the path names.
func (c *call) port() (backend.VM, *console.Port, error) {
	v, err := c.find()
	if err != nil {
		return nil, nil, err
	}
	name := c.variable("port")
	p := v.Console(name)
	if p == nil {
		return nil, nil, failf(api.CodeNotFound, "%s has no serial port %s", c.variable("vm"), quote(name))
	}
	return v, p, nil
}

func getConsoleLog(c *call) (any, error) {
	_, p, err := c.port()
	if err != nil {
		return nil, err
	}
	from := c.integer("from", 0)
	text, at := p.Log(max(from, 0))
	if from < 0 { // so many from the end
		n := min(uint64(len(text)), -uint64(from))
		at += int64(uint64(len(text)) - n)
		text = text[uint64(len(text))-n:]
	}
	h := c.w.Header()
	h.Set(api.ConsoleFrom, strconv.FormatInt(at, 10))
	h.Set(api.ConsoleEnd, strconv.FormatInt(at+int64(len(text)), 10))
	return nil, c.raw(mediaBytes, text)
}

var mediaBytes = []string{"application/octet-stream"}

// openConsole connects a client to a serial port until one of them goes.
func openConsole(c *call) (any, error) {
	v, p, err := c.port()
	if err != nil {
		return nil, err
	}
	mode := c.query.Get("mode")
	switch mode {
	case "":
		mode = api.ModeWrite
	case api.ModeWrite, api.ModeWatch:
	default:
		return nil, failf(api.CodeInvalid, "mode %s is none: give write or watch", quote(mode))
	}
	if c.r.Header.Get("Upgrade") == "" {
		return nil, failf(api.CodeInvalid, "a console is a WebSocket (RFC 6455, over HTTP/1.1): use `keelctl vm console`")
	}
	// Who holds it is said before the connection becomes something else. It is taken from nobody before there is one.
	var writer *console.Writer
	take := c.boolean("take", false)
	if mode == api.ModeWrite && !take {
		if writer, err = p.Hold(c.id.Name, false); err != nil {
			return nil, err
		}
		defer writer.Close()
	}
	from := c.integer("from", 0)
	name := c.id.Name
	if mode == api.ModeWrite {
		name = "" // it is the holder
	}
	watcher, err := p.Watch(name, from)
	if err != nil {
		return nil, err
	}
	defer watcher.Close()
	c.rest()
	c.patient()
	ws, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{Subprotocols: []string{api.ConsoleProtocol}, CompressionMode: websocket.CompressionDisabled})
	c.began = true // websocket has said what is wrong
	if err != nil {
		return nil, failf(api.CodeInvalid, "no WebSocket: %s", err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(maxInput)
	c.status = http.StatusSwitchingProtocols
	if mode == api.ModeWrite && take {
		if writer, err = p.Hold(c.id.Name, true); err != nil {
			ws.Close(websocket.StatusNormalClosure, "the VM is gone")
			return nil, err
		}
		defer writer.Close()
	}
	ctx, cancel := context.WithCancel(c.s.ctx)
	defer cancel()
	spec, _ := v.Spec()
	s := &session{ws: ws, port: p, watcher: watcher, writer: writer, mode: mode, name: c.id.Name}
	s.run(ctx, cancel, spec.Name, c.variable("port"), from)
	return nil, nil
}

// session is one client of a console.
type session struct {
	ws      *websocket.Conn
	port    *console.Port
	watcher *console.Watcher
	writer  *console.Writer // nil: it watches
	mode    string
	name    string
}

func (s *session) run(ctx context.Context, cancel func(), vm, port string, from int64) {
	if s.tell(ctx, s.hello(vm, port, from)) != nil {
		return
	}
	go func() {
		defer cancel()
		s.output(ctx)
	}()
	go s.ping(ctx, cancel)
	if s.writer != nil {
		go s.lost(ctx)
	}
	s.input(ctx)
}

// hello says where the output begins: where the watcher does, whatever has been printed since.
func (s *session) hello(vm, port string, from int64) api.ConsoleMessage {
	state := s.port.State()
	m := api.ConsoleMessage{Event: "hello", VM: vm, Port: port, Mode: s.mode, Holder: state.Holder, Since: state.Since.UTC(), Offset: s.watcher.At()}
	if from >= 0 {
		m.Lost = max(m.Offset-from, 0)
	}
	return m
}

// tell sends a message as text.
func (s *session) tell(ctx context.Context, m api.ConsoleMessage) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.send(ctx, websocket.MessageText, text)
}

func (s *session) send(ctx context.Context, kind websocket.MessageType, p []byte) error {
	ctx, cancel := context.WithTimeout(ctx, pieceTime)
	defer cancel()
	return s.ws.Write(ctx, kind, p)
}

// output sends what the guest prints.
func (s *session) output(ctx context.Context) {
	buf := make([]byte, outputPiece)
	for {
		n, at, missed, err := s.watcher.Read(ctx, buf)
		if missed > 0 && s.tell(ctx, api.ConsoleMessage{Event: "lost", Offset: at, Lost: missed}) != nil {
			return
		}
		if err != nil {
			if errors.Is(err, console.ErrClosed) {
				s.tell(ctx, api.ConsoleMessage{Event: "end", Offset: at})
				s.ws.Close(websocket.StatusNormalClosure, "the VM is gone")
			}
			return
		}
		if s.send(ctx, websocket.MessageBinary, buf[:n]) != nil {
			return
		}
	}
}

// input takes what the client types. One that watches has nothing to say.
func (s *session) input(ctx context.Context) {
	for {
		kind, p, err := s.ws.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageBinary {
			s.ws.Close(websocket.StatusUnsupportedData, "what is typed comes as binary messages")
			return
		}
		if s.writer == nil {
			s.ws.Close(websocket.StatusPolicyViolation, "this connection watches: open one that writes")
			return
		}
		if _, err := s.writer.Write(ctx, p); err != nil {
			var taken *console.TakenError
			if errors.As(err, &taken) || errors.Is(err, console.ErrOff) {
				continue // it watches from now on, or there is no guest: what is typed goes nowhere
			}
			return
		}
	}
}

// lost tells a client that somebody else types now. It may watch on.
func (s *session) lost(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.writer.Lost():
	}
	if taken := (*console.TakenError)(nil); errors.As(s.writer.Err(), &taken) {
		s.watcher.Rename(s.name)
		s.tell(ctx, api.ConsoleMessage{Event: "holder", Mode: api.ModeWatch, Holder: taken.By, Since: time.Now().UTC(), Offset: s.port.State().End})
	}
}

// ping ends a session whose client has gone without saying so.
func (s *session) ping(ctx context.Context, cancel func()) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ctx, done := context.WithTimeout(ctx, pingTime)
		err := s.ws.Ping(ctx)
		done()
		if err != nil {
			cancel()
			s.ws.CloseNow()
			return
		}
	}
}
