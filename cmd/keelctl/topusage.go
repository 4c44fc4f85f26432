package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keel/vmkernel/api"
)

// usage is one line of the result: a host, a VM or a world. Percentages are of one logical processor; a VM's are those of its
// virtual processors together.
type usage struct {
	Host    string             `json:"host"`
	VM      string             `json:"vm,omitempty"`
	World   string             `json:"world,omitempty"`
	State   string             `json:"state"`
	CPU     float64            `json:"cpuPercent"`
	Ready   float64            `json:"readyPercent"`
	Limited float64            `json:"limitedPercent"`
	Blocked float64            `json:"blockedPercent"`
	Paused  float64            `json:"pausedPercent"`
	Stolen  float64            `json:"stolenPercent"`            // Ready and Limited
	Exits   map[string]float64 `json:"exitsPerSecond,omitempty"` // by their reason
	Memory  uint64             `json:"memory,omitempty"`         // bytes
	Alone   []int              `json:"alone,omitempty"`          // a VM's: the processors that it has for itself

	unknown bool // the percentages are
}

// spent is where a world's or a VM's time went, in ns, and its exits.
type spent struct {
	used, ready, blocked, paused, stolen uint64
	exits                                map[string]uint64
}

func spentOf(w *api.World) spent {
	return spent{w.Used, w.Ready, w.Blocked, w.Paused, w.Stolen, w.Exits}
}

func spentByVM(s *api.VMStats) spent {
	return spent{s.Used, s.Ready, s.Blocked, s.Paused, s.Stolen, s.Exits}
}

// add adds what was spent between two samples, span ns apart.
func (u *usage) add(now, then spent, span float64) {
	share := func(now, then uint64) float64 { return float64(now-min(now, then)) / span * 100 }
	ready, stolen := share(now.ready, then.ready), share(now.stolen, then.stolen)
	u.CPU += share(now.used, then.used)
	u.Ready += ready
	u.Stolen += stolen
	u.Limited += max(0, stolen-ready) // hosts of older versions don't say it by itself
	u.Blocked += share(now.blocked, then.blocked)
	u.Paused += share(now.paused, then.paused)
	for reason, n := range now.exits {
		if before := then.exits[reason]; n > before {
			if u.Exits == nil {
				u.Exits = map[string]float64{}
			}
			u.Exits[reason] += float64(n-before) / span * float64(time.Second)
		}
	}
}

// sum adds what another has used.
func (u *usage) sum(o *usage) {
	u.CPU += o.CPU
	u.Ready += o.Ready
	u.Limited += o.Limited
	u.Blocked += o.Blocked
	u.Paused += o.Paused
	u.Stolen += o.Stolen
	for reason, n := range o.Exits {
		if u.Exits == nil {
			u.Exits = map[string]float64{}
		}
		u.Exits[reason] += n
	}
}

// exitsOf says how many exits a second there were, and what the most of them were for.
func exitsOf(exits map[string]float64) string {
	const most = 3
	all := 0.0
	for _, n := range exits {
		all += n
	}
	if all == 0 {
		return ""
	}
	names := slices.SortedFunc(maps.Keys(exits), func(x, y string) int { return cmp.Or(cmp.Compare(exits[y], exits[x]), strings.Compare(x, y)) })
	var said []string
	for _, name := range names[:min(most, len(names))] {
		said = append(said, fmt.Sprintf("%s %.0f", name, exits[name]))
	}
	return fmt.Sprintf("%.0f/s: %s", all, strings.Join(said, ", "))
}

// span is the time between the two samples, in ns; 0 where they can't be compared.
func (h *topHost) span() float64 {
	span := float64(h.now.at.Sub(h.then.at))
	if h.now.there != 0 && h.then.there != 0 { // whatever time the calls took
		span = float64(h.now.there) - float64(h.then.there)
	}
	if h.then.at.IsZero() || span <= 0 || h.then.host.Boot != h.now.host.Boot {
		return 0
	}
	return span
}

// usages computes what was used between two samples.
func (h *topHost) usages(name string, worlds bool) (whole usage, vms, each []usage) {
	now, span := &h.now, h.span()
	whole = usage{Host: name, State: now.host.State, Memory: now.host.Hardware.Memory - min(now.host.Hardware.Memory, now.host.Resources.MemoryFree)}
	before := map[uint64]*api.World{}
	for i := range h.then.worlds {
		before[h.then.worlds[i].ID] = &h.then.worlds[i]
	}
	byVM := map[string]*usage{}
	for _, v := range now.vms {
		u := &usage{Host: name, VM: v.Name, State: v.State, Memory: v.Memory}
		if now.worlds == nil && v.State != api.Stopped {
			s, known := now.stats[v.Name]
			b, had := h.then.stats[v.Name]
			if u.unknown = !known || !had || span == 0; !u.unknown {
				u.add(spentByVM(&s), spentByVM(&b), span)
			}
		}
		byVM[v.Name] = u
	}
	for _, e := range now.host.Resources.Exclusive {
		if u := byVM[e.VM]; u != nil {
			u.Alone = append(u.Alone, e.CPU)
		}
	}
	for i := range now.worlds {
		w := &now.worlds[i]
		u := usage{Host: name, VM: w.VM, World: worldName(w), State: w.State}
		if b := before[w.ID]; b != nil && span > 0 {
			u.add(spentOf(w), spentOf(b), span)
		}
		whole.CPU += u.CPU
		if v := byVM[w.VM]; v != nil {
			v.sum(&u)
		}
		each = append(each, u)
	}
	for _, v := range now.vms {
		vms = append(vms, *byVM[v.Name])
	}
	busiest := func(x, y usage) int { return int(y.CPU*10) - int(x.CPU*10) }
	slices.SortStableFunc(vms, busiest)
	slices.SortStableFunc(each, busiest)
	if !worlds {
		each = nil
	}
	return whole, vms, each
}

func worldName(w *api.World) string {
	if w.Kind == "vcpu" {
		return fmt.Sprintf("vcpu %d", w.VCPU)
	}
	return fmt.Sprintf("%s %d", w.Kind, w.ID)
}
