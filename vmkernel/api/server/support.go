package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"keel/vmkernel/api"
)

var mediaGzip = []string{"application/gzip"}

// maxStacks bounds the list of goroutines in a support bundle, bytes.
const maxStacks = 256 << 10

// getSupport makes the support bundle: what somebody needs who is to find a fault from afar, and nothing that he shouldn't
// have. Left out are keys (the server has none), guests' consoles, and guests' command lines, which may hold passwords.
func getSupport(c *call) (any, error) {
	s := c.s
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	now := s.Now().UTC()
	add := func(name string, text []byte) error {
		if err := archive.WriteHeader(&tar.Header{Name: "keel-support/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: now, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err := archive.Write(text)
		return err
	}
	trust, err := getTrust(c)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name string
		what any
	}{
		{"version.json", api.Version{Version: s.Version, Build: s.Build, API: "v1", Host: s.Name}},
		{"host.json", s.info()}, {"network.json", s.Host.Network()}, {"time.json", s.Host.Time()}, {"worlds.json", s.Host.Worlds()},
		{"trust.json", trust}, {"vms.json", s.supportVMs()}, {"images.json", s.Images.List()}, {"events.json", s.supportEvents()},
		{"door.json", s.doorStats()},
	} {
		text, err := json.MarshalIndent(part.what, "", " ")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		if err := add(part.name, text); err != nil {
			return nil, err
		}
	}
	stacks := make([]byte, maxStacks)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for name, text := range map[string][]byte{"metrics.txt": writeMetrics(s.metrics()), "log.txt": s.supportLog(), "goroutines.txt": stacks} {
		if err := add(name, text); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="keel-support-`+s.Name+"-"+now.Format("20060102T150405Z")+`.tar.gz"`)
	return nil, c.raw(mediaGzip, out.Bytes())
}

func (s *Server) doorStats() (list []any) {
	s.mu.Lock()
	doors := s.doors
	s.mu.Unlock()
	for _, d := range doors {
		list = append(list, d.Stats())
	}
	return list
}

func (s *Server) supportVMs() any {
	type one struct {
		VM    api.VM
		Stats api.VMStats
	}
	list := []one{}
	for _, v := range s.VMs.List() {
		spec, _ := v.Spec()
		shown := one{VM: api.VM{Spec: *spec}, Stats: v.Stats()}
		v.Status(&shown.VM)
		direct := &shown.VM.Spec.Boot.Direct
		direct.Cmdline = leftOut(direct.Cmdline)
		modules := direct.Modules
		direct.Modules = nil // the description's own is not to be written to
		for _, m := range modules {
			m.Cmdline = leftOut(m.Cmdline)
			direct.Modules = append(direct.Modules, m)
		}
		list = append(list, shown)
	}
	return list
}

func leftOut(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("(%d bytes left out)", len(s))
}

func (s *Server) supportEvents() []api.Event {
	list, _, _ := s.events.read(1, make([]happening, maxEvents))
	out := []api.Event{}
	for _, h := range list {
		out = append(out, h.Event)
	}
	return out
}

// supportLog is the host's log without the guests' lines.
func (s *Server) supportLog() []byte {
	list, _, _ := s.Lines.ring.read(1, make([]api.LogLine, maxLines))
	var b bytes.Buffer
	for _, l := range list {
		if !isGuests(l.Text) {
			b.WriteString(l.Time.Format(time.RFC3339Nano) + " " + l.Text + "\n")
		}
	}
	return b.Bytes()
}
