package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/cmd/keelctl/terminal"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
)

func (a *app) vmConsole() *cobra.Command {
	var s consoleOptions
	cmd := &cobra.Command{
		Use:   "console VM",
		Short: "Type into a VM's serial port and see what it writes",
		Long: `Connect this terminal to a VM's serial port. What the guest has written of late is shown
first. One at a time types into a port; if it is somebody else he is named, and you watch,
unless you take it over. --watch only reads.

Keys are passed on as they are typed, Ctrl-C included. Ctrl-] begins a command:

  Ctrl-] q       leave (so does Ctrl-] .)
  Ctrl-] t       take the console over from who holds it
  Ctrl-] s       type a line into the guest's shell that tells it this window's size (stty):
                 a serial line has no other way, so do it once you are logged in, and again
                 when you have changed the window
  Ctrl-] Ctrl-]  send Ctrl-] to the guest
  Ctrl-] ?       show this

When the guest stops the console stays, and goes on when it starts again. Where stdin is no
terminal it is sent to the guest, and the command ends after --timeout (default 30s). It
needs the role operator.`,
		Example: `  keelctl vm console demo
  keelctl vm console demo --watch
  printf 'uptime\n' | keelctl vm console demo --timeout 5s`,
		Args:              oneOf("VM"),
		ValidArgsFunction: a.completeVMs,
		RunE: func(_ *cobra.Command, args []string) error {
			if s.watch && s.take {
				return exit.Errorf(exit.Usage, "--watch and --take make no sense together: give one")
			}
			limit := time.Duration(0)
			if !a.terminal.Stdin() {
				limit = callTimeout
			}
			return a.ask(limit, func(ctx context.Context, r *remote) error {
				port, err := consolePort(ctx, r, args[0], s.port)
				if err != nil {
					return err
				}
				c := &console{app: a, remote: r, vm: args[0], port: port, from: -1}
				if s.lines {
					c.from = 0
				}
				return c.run(ctx, s)
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVar(&s.port, "port", "", "the serial port (default: the VM's first)")
	cmd.RegisterFlagCompletionFunc("port", cobra.FixedCompletions(serialPorts, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&s.watch, "watch", false, "only read")
	cmd.Flags().BoolVar(&s.take, "take", false, "take the console from who holds it")
	cmd.Flags().BoolVar(&s.lines, "history", true, "show what the guest has written before")
	return cmd
}

type consoleOptions struct {
	port               string
	watch, take, lines bool
}

// errLeft ends a console because the user wants it.
var errLeft = errors.New("left")

// console is one connection to a serial port, or several one after the other when it is taken over.
type console struct {
	app      *app
	remote   *remote
	vm, port string
	from     int64       // the next byte of output; -1: what comes
	watching atomic.Bool // what is typed goes nowhere
	raw      bool
	typed    chan []byte // closed at stdin's end
}

// say writes a line of the client's own. In raw mode the guest may have left the cursor within one.
func (c *console) say(format string, args ...any) {
	begin, end := "", "\n"
	if c.raw {
		begin, end = "\r\n", "\r\n"
	}
	fmt.Fprintf(c.app.stderr, "%skeelctl: %s%s", begin, output.Clean(fmt.Sprintf(format, args...)), end)
}

func (c *console) run(ctx context.Context, s consoleOptions) error {
	mode := api.ModeWrite
	if s.watch {
		mode = api.ModeWatch
	}
	socket, hello, err := c.open(ctx, mode, s.take)
	var answer *api.Error
	if errors.As(err, &answer) && answer.Code == api.CodeHeld {
		c.say("%s types there: you only watch; Ctrl-] t takes it over", answer.Details["holder"])
		socket, hello, err = c.open(ctx, api.ModeWatch, false)
	}
	if err != nil {
		return err
	}
	if c.app.terminal.Stdin() {
		restore, err := c.app.terminal.Raw()
		if err != nil {
			socket.CloseNow()
			return err
		}
		defer restore()
		c.raw = true
	}
	c.greet(hello)
	c.typed = make(chan []byte)
	stop := make(chan struct{})
	defer close(stop)
	go c.read(stop)
	for {
		next, err := c.serve(ctx, socket)
		if next != nil {
			socket = next
			continue
		}
		switch {
		case errors.Is(err, errLeft):
			c.say("left the console of %s; it goes on", c.vm)
			return nil
		case errors.Is(err, io.EOF):
			c.say("the console of %s has ended", c.vm)
			return nil
		case ctx.Err() != nil && !c.raw: // --timeout, which is how long to stay, or Ctrl-C
			return nil
		}
		return err
	}
}

// open connects, and reads the host's greeting.
func (c *console) open(ctx context.Context, mode string, take bool) (*websocket.Conn, *api.ConsoleMessage, error) {
	query := url.Values{"mode": {mode}}
	if take {
		query.Set("take", "true")
	}
	query.Set("from", fmt.Sprint(c.from))
	opening, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	socket, err := c.remote.WebSocket(opening, client.Path("vms", c.vm, "console", c.port), query, api.ConsoleProtocol)
	if err != nil {
		return nil, nil, err
	}
	socket.SetReadLimit(16 << 20)
	kind, data, err := socket.Read(opening)
	hello := &api.ConsoleMessage{}
	if err == nil {
		err = json.Unmarshal(data, hello)
	}
	if err != nil || kind != websocket.MessageText || hello.Event != "hello" {
		socket.CloseNow()
		return nil, nil, fmt.Errorf("%s: the console of %s didn't say hello: %w", c.remote.Name(), c.vm, err)
	}
	c.watching.Store(hello.Mode == api.ModeWatch)
	c.from = hello.Offset
	return socket, hello, nil
}

func (c *console) greet(hello *api.ConsoleMessage) {
	what := "you type there"
	switch {
	case hello.Mode != api.ModeWatch:
	case hello.Holder != "":
		what = "you watch; " + hello.Holder + " types, since " + output.Time(hello.Since)
	default:
		what = "you watch; nobody types"
	}
	leave := ""
	if c.raw {
		columns, rows := c.app.terminal.Size()
		leave = fmt.Sprintf("; Ctrl-] q leaves, Ctrl-] s tells the guest's shell that this window has %d columns and %d rows, Ctrl-] ? helps", columns, rows)
	}
	c.say("%s of %s on %s: %s%s", hello.Port, hello.VM, c.remote.Name(), what, leave)
	if hello.Lost > 0 {
		c.say("%d bytes before that are no longer kept", hello.Lost)
	}
}

// read passes on what is typed.
func (c *console) read(stop <-chan struct{}) {
	defer close(c.typed)
	for {
		b := make([]byte, 4096)
		n, err := c.app.stdin.Read(b)
		if n > 0 {
			select {
			case c.typed <- b[:n]:
			case <-stop:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// serve runs one connection to its end. It returns another one where the user has taken the console over.
func (c *console) serve(ctx context.Context, socket *websocket.Conn) (*websocket.Conn, error) {
	defer socket.CloseNow()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shown := make(chan error, 1)
	go func() { shown <- c.show(ctx, socket) }()
	go c.ping(ctx, socket)
	var escapes terminal.Escapes
	typed := c.typed
	for {
		select {
		case err := <-shown:
			return nil, err
		case data, ok := <-typed:
			if !ok {
				if c.raw { // the terminal is gone
					return nil, errLeft
				}
				typed = nil
				continue
			}
			if !c.raw {
				if err := c.send(ctx, socket, data); err != nil {
					return nil, err
				}
				continue
			}
			for len(data) > 0 {
				send, command, rest := escapes.Next(data)
				data = rest
				if err := c.send(ctx, socket, send); err != nil {
					return nil, err
				}
				switch command {
				case terminal.Leave:
					socket.Close(websocket.StatusNormalClosure, "")
					return nil, errLeft
				case terminal.Take:
					cancel()
					<-shown
					next, hello, err := c.open(context.WithoutCancel(ctx), api.ModeWrite, true)
					if err == nil {
						c.greet(hello)
					}
					return next, err
				case terminal.Size:
					columns, rows := c.app.terminal.Size()
					if err := c.send(ctx, socket, fmt.Appendf(nil, "stty rows %d cols %d\r", rows, columns)); err != nil {
						return nil, err
					}
				case terminal.Help:
					c.say("Ctrl-] then q: leave; t: take it over; s: tell the guest's shell the window's size; Ctrl-]: send Ctrl-]")
				}
			}
		}
	}
}

// send types into the guest.
func (c *console) send(ctx context.Context, socket *websocket.Conn, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if c.watching.Load() {
		if !c.raw {
			return exit.Errorf(exit.Conflict, "%s: you only watch the console of %s: --take takes it over", c.remote.Name(), c.vm)
		}
		c.say("you only watch; Ctrl-] t takes the console over")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.broken(socket.Write(ctx, websocket.MessageBinary, data))
}

// show writes what the guest writes, and what the host says.
func (c *console) show(ctx context.Context, socket *websocket.Conn) error {
	for {
		kind, data, err := socket.Read(ctx)
		if err != nil {
			return c.broken(err)
		}
		if kind == websocket.MessageBinary {
			c.from += int64(len(data))
			if _, err := c.app.stdout.Write(data); err != nil {
				return err
			}
			continue
		}
		var m api.ConsoleMessage
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		switch m.Event {
		case "holder":
			if now := m.Mode == api.ModeWatch; m.Mode != "" && now != c.watching.Swap(now) && now {
				c.say("%s has taken the console over: you only watch; Ctrl-] t takes it back", m.Holder)
			}
		case "lost":
			c.say("%d bytes were skipped: they came faster than they could be shown", m.Lost)
			c.from = m.Offset
		case "end":
			return io.EOF
		}
	}
}

// ping finds out when the host is gone without saying so.
func (c *console) ping(ctx context.Context, socket *websocket.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(30 * time.Second):
		}
		short, cancel := context.WithTimeout(ctx, callTimeout)
		err := socket.Ping(short)
		cancel()
		if err != nil {
			socket.CloseNow()
			return
		}
	}
}

// broken turns a WebSocket's error into what it means.
func (c *console) broken(err error) error {
	if err == nil {
		return nil
	}
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway:
		return io.EOF
	case websocket.StatusPolicyViolation:
		return exit.With(exit.Denied, fmt.Errorf("%s ends the console of %s: %w", c.remote.Name(), c.vm, err))
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return exit.With(exit.Unreachable, fmt.Errorf("%s: the console of %s broke off: %w", c.remote.Name(), c.vm, err))
}
