package server

import (
	"bytes"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"keel/vmkernel/api"
	"keel/vmkernel/api/backend"
)

func one(name, kind, help string, value float64) backend.Metric {
	return family(name, help, kind, backend.Sample{Value: value})
}

func family(name, help, kind string, samples ...backend.Sample) backend.Metric {
	return backend.Metric{Name: name, Help: help, Kind: kind, Samples: samples}
}

func valued(value float64, labels ...string) backend.Sample {
	return backend.Sample{Labels: labels, Value: value}
}

var mediaMetrics = []string{"text/plain; version=0.0.4; charset=utf-8"}

func getMetrics(c *call) (any, error) {
	return nil, c.raw(mediaMetrics, writeMetrics(c.s.metrics()))
}

// metrics are the host's own, and what the server knows.
func (s *Server) metrics() []backend.Metric {
	h := s.info()
	list := []backend.Metric{
		family("keel_info", "What runs.", "gauge", valued(1, "version", s.Version, "build", s.Build, "virt", h.Hardware.Virtualisation)),
		one("keel_start_time_seconds", "gauge", "When the host was booted, Unix time.", float64(h.Started.Unix())),
		one("keel_memory_total_bytes", "gauge", "Memory that Keel can use.", float64(h.Hardware.Memory)),
		one("keel_memory_used_bytes", "gauge", "Memory that Keel takes for itself.", float64(h.Resources.MemoryUsed)),
		one("keel_memory_free_bytes", "gauge", "Memory that is free and not promised.", float64(h.Resources.MemoryFree)),
		one("keel_exclusive_processors", "gauge", "Logical processors that VMs have for themselves.", float64(len(h.Resources.Exclusive))),
		one("keel_images_used_bytes", "gauge", "Memory that images take.", float64(h.Resources.ImagesUsed)),
		one("keel_images_free_bytes", "gauge", "Memory that images could take.", float64(h.Resources.ImagesFree)),
		one("keel_problems", "gauge", "What is wrong with the host's health.", float64(len(h.Health.Problems))),
	}
	list = append(list, s.Host.Metrics()...)
	list = append(list, s.vmMetrics()...)
	list = append(list, worldMetrics(s.Host.Worlds())...)
	return append(list, s.doorMetrics()...)
}

func (s *Server) vmMetrics() []backend.Metric {
	states := map[string]float64{}
	used := family("keel_vm_processor_seconds_total", "Processor time of a VM since it was started.", "counter")
	ready := family("keel_vm_ready_seconds_total", "Time that a VM's processors have waited for one of the host's.", "counter")
	limited := family("keel_vm_limited_seconds_total", "Time that a VM's processors were held back by a limit, or for being ahead of others of the VM.", "counter")
	blocked := family("keel_vm_blocked_seconds_total", "Time that a VM's processors were idle.", "counter")
	paused := family("keel_vm_paused_seconds_total", "Time that a VM's processors were paused.", "counter")
	stolen := family("keel_vm_stolen_seconds_total", "Time that a VM's processors waited for one of the host's, or were held back by a limit.", "counter")
	resident := family("keel_vm_resident_bytes", "Memory that the host holds for a VM.", "gauge")
	granted := family("keel_vm_granted_bytes", "Memory that a VM holds or that is set aside for it.", "gauge")
	active := family("keel_vm_active_bytes", "Memory that a guest touched of late.", "gauge")
	balloon := family("keel_vm_balloon_bytes", "Memory that a guest's balloon holds.", "gauge")
	exits := family("keel_vm_exits_total", "VM exits since a VM was started, by reason.", "counter")
	for _, v := range s.VMs.List() {
		spec, _ := v.Spec()
		stats := v.Stats()
		states[stats.State]++
		if stats.State == api.Stopped {
			continue
		}
		who := []string{"vm", spec.Name}
		used.Samples = append(used.Samples, valued(float64(stats.Used)/1e9, who...))
		ready.Samples = append(ready.Samples, valued(float64(stats.Ready)/1e9, who...))
		limited.Samples = append(limited.Samples, valued(float64(stats.Limited)/1e9, who...))
		blocked.Samples = append(blocked.Samples, valued(float64(stats.Blocked)/1e9, who...))
		paused.Samples = append(paused.Samples, valued(float64(stats.Paused)/1e9, who...))
		stolen.Samples = append(stolen.Samples, valued(float64(stats.Stolen)/1e9, who...))
		resident.Samples = append(resident.Samples, valued(float64(stats.Resident), who...))
		granted.Samples = append(granted.Samples, valued(float64(stats.Granted), who...))
		balloon.Samples = append(balloon.Samples, valued(float64(stats.Balloon), who...))
		if stats.Active != nil {
			active.Samples = append(active.Samples, valued(float64(*stats.Active), who...))
		}
		for _, reason := range sorted(stats.Exits) {
			exits.Samples = append(exits.Samples, valued(float64(stats.Exits[reason]), "vm", spec.Name, "reason", reason))
		}
	}
	vms := family("keel_vms", "VMs by state.", "gauge")
	for _, state := range api.States {
		vms.Samples = append(vms.Samples, valued(states[state], "state", state))
	}
	return []backend.Metric{vms, used, ready, limited, blocked, paused, stolen, resident, granted, active, balloon, exits}
}

// worldMetrics are sums by kind: worlds come and go, and a family for each of their numbers would grow without end.
func worldMetrics(worlds []api.World) []backend.Metric {
	count := map[string]float64{}
	times := []struct {
		what, help string
		of         func(*api.World) uint64
		by         map[string]float64
	}{
		{"processor", "Processor time of the worlds that there are, by kind.", func(w *api.World) uint64 { return w.Used }, map[string]float64{}},
		{"ready", "Time that they have waited for a processor, by kind.", func(w *api.World) uint64 { return w.Ready }, map[string]float64{}},
		{"limited", "Time that a limit, or being ahead of siblings, has kept them from one, by kind.", func(w *api.World) uint64 { return w.Limited }, map[string]float64{}},
		{"blocked", "Time that they wanted none, by kind.", func(w *api.World) uint64 { return w.Blocked }, map[string]float64{}},
		{"paused", "Time that they were paused, by kind.", func(w *api.World) uint64 { return w.Paused }, map[string]float64{}},
	}
	for i := range worlds {
		w := &worlds[i]
		count[w.Kind+"\x00"+w.State]++
		for _, t := range times {
			t.by[w.Kind] += float64(t.of(w)) / 1e9
		}
	}
	n := family("keel_worlds", "What is scheduled, by kind and state.", "gauge")
	for _, k := range sorted(count) {
		kind, state, _ := strings.Cut(k, "\x00")
		n.Samples = append(n.Samples, valued(count[k], "kind", kind, "state", state))
	}
	list := []backend.Metric{n}
	for _, t := range times {
		m := family("keel_worlds_"+t.what+"_seconds_total", t.help, "counter")
		for _, k := range sorted(t.by) {
			m.Samples = append(m.Samples, valued(t.by[k], "kind", k))
		}
		list = append(list, m)
	}
	return list
}

func (s *Server) doorMetrics() []backend.Metric {
	var half, open, accepted, in float64
	refused := map[string]float64{}
	s.mu.Lock()
	doors := s.doors
	s.mu.Unlock()
	for _, d := range doors {
		st := d.Stats()
		half, open = half+float64(st.HalfOpen), open+float64(st.Open)
		accepted, in = accepted+float64(st.Accepted), in+float64(st.In)
		for why, n := range st.Refused {
			refused[why] += float64(n)
		}
	}
	calls := family("keel_calls_total", "Calls of the API, by outcome.", "counter")
	for i, name := range outcomeNames {
		calls.Samples = append(calls.Samples, valued(float64(s.counts[i].Load()), "outcome", name))
	}
	turned := family("keel_door_refused_total", "Connections that weren't let in, by why.", "counter")
	for _, why := range sorted(refused) {
		turned.Samples = append(turned.Samples, valued(refused[why], "why", why))
	}
	f := s.Audit.Forwarding()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	list := []backend.Metric{
		one("keel_door_half_open", "gauge", "Connections whose handshake isn't done.", half),
		one("keel_door_open", "gauge", "Connections of known callers.", open),
		one("keel_door_accepted_total", "counter", "Connections that came.", accepted),
		one("keel_door_in_total", "counter", "Connections that were let in.", in),
		turned, calls,
		one("keel_audit_records", "gauge", "Records of this boot's audit log.", float64(f.Size)),
		one("keel_go_heap_bytes", "gauge", "Heap of the upper half.", float64(m.HeapAlloc)),
		one("keel_go_goroutines", "gauge", "Goroutines of the upper half.", float64(runtime.NumGoroutine())),
		one("keel_go_collections_total", "counter", "Collections of the upper half's heap.", float64(m.NumGC)),
	}
	if f.Collector != nil {
		list = append(list, one("keel_audit_unconfirmed_records", "gauge", "Records that the collector hasn't confirmed.", float64(f.Size-f.Confirmed)))
	}
	return list
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// writeMetrics writes families that have samples.
func writeMetrics(list []backend.Metric) []byte {
	var b bytes.Buffer
	for i := range list {
		m := &list[i]
		if len(m.Samples) == 0 {
			continue
		}
		b.WriteString("# HELP " + m.Name + " " + escapeHelp.Replace(m.Help) + "\n# TYPE " + m.Name + " " + m.Kind + "\n")
		for _, s := range m.Samples {
			b.WriteString(m.Name)
			for j := 0; j+1 < len(s.Labels); j += 2 {
				b.WriteByte("{,"[min(j, 1)])
				b.WriteString(s.Labels[j] + `="` + escapeLabel.Replace(s.Labels[j+1]) + `"`)
			}
			if len(s.Labels) > 1 {
				b.WriteByte('}')
			}
			b.WriteString(" " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
		}
	}
	return b.Bytes()
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
