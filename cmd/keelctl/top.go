package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/config"
	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/auth"
)

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var once, worlds bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show hosts, VMs and worlds live",
		Long: `Show the context's hosts (or that of --host), their VMs and, with --worlds, what their
schedulers run, with what each has used of the processors since the last time; 100% is one
logical processor, and "alone" are those that a VM has for itself. Of a world it says what
else its time went to: ready, it waited for a processor; limited, a limit kept it from one;
blocked, it wanted none; paused; and its exits a second, by reason. On a terminal it is drawn
anew until q or Ctrl-C; elsewhere, or with
--once, it measures once. It needs the role viewer.`,
		Example: `  keelctl top
  keelctl top --once --worlds`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if every < 200*time.Millisecond {
				return exit.Errorf(exit.Usage, "--every %s is too short: give 200ms or more", every)
			}
			c, err := a.context()
			if err != nil {
				return err
			}
			hosts := c.Hosts
			if a.options.host != "" {
				h, err := c.Find(a.options.host)
				if err != nil {
					return err
				}
				hosts = []*config.Host{h}
			}
			if len(hosts) == 0 {
				return exit.Errorf(exit.NotFound, "context %s has no host yet: `keelctl host add ADDRESS` adds one", c.Name)
			}
			t := &top{app: a, context: c, worlds: worlds, every: every}
			for _, h := range hosts {
				t.hosts = append(t.hosts, &topHost{host: h})
			}
			if once || !a.terminal.Stdout() || a.computed() {
				return t.once()
			}
			return t.live()
		},
	}
	a.remoteFlags(cmd)
	a.outputFlag(cmd)
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how long from one time to the next")
	cmd.Flags().BoolVar(&once, "once", false, "measure once, and end")
	cmd.Flags().BoolVar(&worlds, "worlds", false, "show worlds as well")
	return cmd
}

type top struct {
	app     *app
	context *config.Context
	hosts   []*topHost
	worlds  bool
	every   time.Duration
}

// topHost is a host with what was measured of it last.
type topHost struct {
	host *config.Host
	now  sample
	then sample
	err  error
}

// sample is what a host said at one time.
type sample struct {
	at     time.Time // here
	there  uint64    // by the host's own clock, in ns; 0: it is of a version that doesn't say
	host   api.Host
	vms    []api.VMSummary
	worlds []api.World            // none: the caller's role is not for them
	stats  map[string]api.VMStats // instead, of VMs that aren't stopped, by their names
}

// mostStats is of how many VMs top asks for each one's figures, where it may not ask for all worlds.
const mostStats = 64

// measure asks all hosts at once.
func (t *top) measure() {
	var group sync.WaitGroup
	own, err := t.app.ownCertificate(t.context)
	for _, h := range t.hosts {
		if err != nil {
			h.err = err
			continue
		}
		group.Go(func() {
			ctx, cancel := t.app.bounded(t.app.limit(10 * time.Second))
			defer cancel()
			conn := t.app.connection(h.host, own)
			defer conn.Close()
			s, err := take(ctx, conn)
			h.err = err
			if err == nil {
				h.then, h.now = h.now, s
			}
		})
	}
	group.Wait()
	for _, h := range t.hosts { // one after the other: there may be something to ask
		if other := (*auth.ErrOtherKey)(nil); errors.As(h.err, &other) {
			ctx, cancel := t.app.bounded(t.app.limit(callTimeout))
			if known, err := t.app.recognise(ctx, t.context, h.host, own, other.Got); err != nil {
				h.err = err
			} else {
				h.host = known
			}
			cancel()
		}
	}
}

func take(ctx context.Context, conn *client.Conn) (s sample, err error) {
	if err = conn.Get(ctx, client.Path("host"), nil, &s.host); err != nil {
		return s, err
	}
	var vms api.VMs
	if err = conn.Get(ctx, client.Path("vms"), nil, &vms); err != nil {
		return s, err
	}
	s.vms = vms.VMs
	var worlds api.Worlds
	s.at = time.Now()
	if err = conn.Get(ctx, client.Path("worlds"), nil, &worlds); err != nil && exit.Code(err) != exit.Denied {
		return s, err
	}
	s.worlds, s.there = worlds.Worlds, worlds.At
	if err != nil {
		s.stats = statsOf(ctx, conn, s.vms)
	}
	return s, nil
}

// statsOf asks for the figures of VMs that aren't stopped. One whose can't be had is left out.
func statsOf(ctx context.Context, conn *client.Conn, vms []api.VMSummary) map[string]api.VMStats {
	all := map[string]api.VMStats{}
	for _, v := range vms {
		var one api.VMStats
		if v.State != api.Stopped && len(all) < mostStats && conn.Get(ctx, client.Path("vms", v.ID, "stats"), nil, &one) == nil {
			all[v.Name] = one
		}
	}
	return all
}

// once measures twice, prints the difference, and fails as the first host that failed.
func (t *top) once() error {
	t.measure()
	select {
	case <-time.After(min(t.every, time.Second)):
	case <-t.app.ctx.Done():
		return t.app.ctx.Err()
	}
	t.measure()
	all := []usage{}
	for _, h := range t.hosts {
		if h.err == nil {
			whole, vms, each := h.usages(h.host.Name, t.worlds)
			all = append(append(append(all, whole), vms...), each...)
		}
	}
	if err := t.app.print(all, t.table); err != nil {
		return err
	}
	var names []string
	faults := map[string]error{}
	for _, h := range t.hosts {
		names = append(names, h.host.Name)
		faults[h.host.Name] = h.err
	}
	return t.app.each(names, func(name string) error { return faults[name] })
}

// table writes hosts, VMs and worlds.
func (t *top) table(r *output.Rows) {
	percent := func(v float64) string { return fmt.Sprintf("%.1f%%", v) }
	r.Header("host", "state", "cpus", "cpu", "memory", "free", "VMs", "up", "health")
	for _, h := range t.hosts {
		if h.now.at.IsZero() {
			r.Row(h.host.Name, stateOf(h), "", "", "", "", "", "", faultOf(h))
			continue
		}
		whole, _, _ := h.usages(h.host.Name, false)
		s := h.now.host
		health := output.State(s.Health.State)
		if len(s.Health.Problems) > 0 {
			health = output.Cell{Text: s.Health.Problems[0], Style: output.Warn}
		}
		if h.err != nil {
			health = faultOf(h)
		}
		cpu := percent(whole.CPU)
		if h.now.worlds == nil {
			cpu = ""
		}
		r.Row(h.host.Name, stateOf(h), s.Hardware.CPUs, cpu, output.Size(s.Hardware.Memory), output.Size(s.Resources.MemoryFree),
			fmt.Sprintf("%d/%d", s.Resources.VMsRunning, s.Resources.VMs), output.Age(t.app.now().Sub(s.Started)), health)
	}
	var vms, each []usage
	for _, h := range t.hosts {
		if h.err == nil {
			_, v, w := h.usages(h.host.Name, t.worlds)
			vms, each = append(vms, v...), append(each, w...)
		}
	}
	if len(vms) > 0 {
		r.Break()
		r.Header("vm", "host", "state", "cpu", "ready", "stolen", "memory", "alone")
	}
	for _, v := range vms {
		cpu, ready, stolen := percent(v.CPU), percent(v.Ready), percent(v.Stolen)
		if v.unknown {
			cpu, ready, stolen = "", "", ""
		}
		r.Row(v.VM, v.Host, output.State(v.State), cpu, ready, stolen, output.Size(v.Memory), processors(v.Alone))
	}
	if len(each) > 0 {
		r.Break()
		r.Header("world", "vm", "host", "state", "cpu", "ready", "limited", "blocked", "paused", "exits")
	}
	for _, w := range each {
		r.Row(w.World, w.VM, w.Host, w.State, percent(w.CPU), percent(w.Ready), percent(w.Limited), percent(w.Blocked), percent(w.Paused), exitsOf(w.Exits))
	}
}

func stateOf(h *topHost) output.Cell {
	if h.err != nil {
		return output.State("unreachable")
	}
	return output.State(h.now.host.State)
}

func faultOf(h *topHost) output.Cell {
	if h.err == nil {
		return output.Cell{}
	}
	return output.Cell{Text: strings.ReplaceAll(h.err.Error(), "\n", " "), Style: output.Bad}
}

// What live writes to the terminal: the alternate screen, without a cursor.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	homeScreen  = "\x1b[H"
	clearRight  = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// live draws until q or Ctrl-C.
func (t *top) live() error {
	ctx, stop := context.WithCancel(t.app.ctx)
	defer stop()
	if t.app.terminal.Stdin() {
		restore, err := t.app.terminal.Raw()
		if err != nil {
			return err
		}
		defer restore()
		go func() {
			key := make([]byte, 1)
			for {
				if _, err := t.app.stdin.Read(key); err != nil || key[0] == 'q' || key[0] == 3 || key[0] == 27 {
					stop()
					return
				}
			}
		}()
	}
	t.app.quiet = true // no questions into the picture
	io.WriteString(t.app.stdout, enterScreen)
	defer io.WriteString(t.app.stdout, leaveScreen)
	for {
		t.measure()
		if ctx.Err() != nil {
			return nil
		}
		var b bytes.Buffer
		p := &output.Printer{W: &b, Format: output.Table, Color: t.app.colored()}
		if err := p.Print(nil, t.table); err != nil {
			return err
		}
		columns, rows := t.app.terminal.Size()
		title := fmt.Sprintf("keelctl top  context %s  %s  every %s  q ends", t.context.Name, output.Time(t.app.now()), t.every)
		if _, err := io.WriteString(t.app.stdout, frame(title, b.String(), columns, rows)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(t.every):
		}
	}
}

// frame cuts what is to be drawn to a screen's size.
func frame(title, text string, columns, rows int) string {
	lines := append([]string{title, ""}, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
	var b strings.Builder
	b.WriteString(homeScreen)
	for i, line := range lines[:min(len(lines), max(rows-1, 1))] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(output.Cut(line, columns) + clearRight)
	}
	b.WriteString(clearBelow)
	return b.String()
}
