package seed

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits of what a seed may say of shares, reservations and limits.
const (
	Processor = 1000 // what reservations and limits of processors count: 100 % of one logical processor

	SharesPerCPU = 1000 // what a virtual processor counts for where a VM gives no shares
	SharesPerMiB = 10   // likewise a MiB of memory

	PoolCPUShares    = 4 * SharesPerCPU        // what a pool has that gives no shares: as a VM with 4 processors
	PoolMemoryShares = 16 << 10 * SharesPerMiB // and 16 GiB

	MaxCPUShares    = 1_000_000
	MaxMemoryShares = SharesPerMiB * (MaxMemory >> 20)

	MaxHostCPUs  = 4096 // an affinity is to processors below it, and pools have no more
	MinCPULimit  = Processor / 100
	MaxPools     = 256
	MaxPoolDepth = 8
	MaxPoolSize  = 64 << 40 // bytes of a pool's reservation or limit

	SystemPool = "system" // the name of Keel's own: no pool of a seed has it
)

// Share is what a VM or a pool has of its parent's processors or memory. Shares count only against those of siblings,
// for what is left when every reservation is met. Processors are counted in thousandths of a logical one (see
// Processor), memory in bytes.
type Share struct {
	Shares      uint32 `json:"shares,omitempty"`      // 1 or more in what Parse returns
	Reservation uint64 `json:"reservation,omitempty"` // guaranteed
	Limit       uint64 `json:"limit,omitempty"`       // never exceeded; 0: none
}

// Pool is a node of the tree of pools, in whose leaves the VMs are. Parse returns them parents first.
type Pool struct {
	Name   string `json:"name"`             // as a VM's, unique among the pools
	Parent string `json:"parent,omitempty"` // a pool's name; empty: the host itself
	CPU    Share  `json:"cpu"`
	Memory Share  `json:"memory"`
}

// FormatPercent writes thousandths of a processor, such as 50% or 12.5%.
func FormatPercent(v uint64) string {
	s := strconv.FormatUint(v/10, 10)
	if v%10 != 0 {
		s += "." + strconv.FormatUint(v%10, 10)
	}
	return s + "%"
}

// resource is one of the two kinds that are shared, with what decoding it needs.
type resource struct {
	maxShares int64
	read      func(*Node) (uint64, error)
	format    func(uint64) string
	unit      uint64 // values are multiples of it
	minLimit  uint64
	max       uint64 // of reservation and limit
}

func (d *Decoder) processors(max uint64) resource {
	read := d.Percent
	if read == nil {
		read = thousandths
	}
	return resource{MaxCPUShares, read, FormatPercent, 1, MinCPULimit, max}
}

func (d *Decoder) bytes(max uint64) resource {
	return resource{MaxMemoryShares, d.size(), FormatSize, MemoryUnit, MinMemory, max}
}

// thousandths reads the percentage of keel.json: a plain number of thousandths.
func thousandths(n *Node) (uint64, error) {
	if n.Kind != Number {
		return 0, fmt.Errorf("%s is not a number of thousandths of a processor", brief(n))
	}
	v, err := strconv.ParseUint(n.Text, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, fmt.Errorf("%s is not a whole number of thousandths of a processor", brief(n))
	}
	return v, nil // out of range: the largest, which is above every maximum
}

// share reads shares, reservation and limit. normal are the shares of a VM or pool that gives none.
func (o *object) share(r resource, normal uint64) Share {
	s := Share{Shares: uint32(min(normal, uint64(r.maxShares)))}
	if n := o.get("shares"); n != nil {
		s.Shares = uint32(o.d.integer(n, 1, r.maxShares))
	} else if o.isLater("shares") {
		s.Shares = 0
	}
	s.Reservation, _ = o.amount("reservation", r)
	limit, ok := o.amount("limit", r)
	switch n := o.get("limit"); {
	case !ok:
	case limit < r.minLimit:
		o.d.fail(n, "%s is below the minimum of %s: leave it out for no limit", r.format(limit), r.format(r.minLimit))
	case limit < s.Reservation:
		o.d.fail(n, "%s is below the reservation of %s: raise the limit or lower the reservation", r.format(limit), r.format(s.Reservation))
	default:
		s.Limit = limit
	}
	return s
}

// amount reads a reservation or a limit, and says whether there is one that is possible.
func (o *object) amount(key string, r resource) (uint64, bool) {
	n := o.get(key)
	if n == nil {
		return 0, false
	}
	v, err := r.read(n)
	switch {
	case err != nil:
		o.d.fail(n, "%s", err)
	case v > r.max:
		o.d.fail(n, "%s is above the maximum of %s", given(n, v, r.format), r.format(r.max))
	case v%r.unit != 0:
		o.d.fail(n, "%s is not a multiple of %s", r.format(v), r.format(r.unit))
	default:
		return v, true
	}
	return 0, false
}

// given is v, which was read from n, for an error. What is out of range is read as the largest number, which nobody gave.
func given(n *Node, v uint64, format func(uint64) string) string {
	if v == math.MaxUint64 {
		return brief(n)
	}
	return format(v)
}

// affinity reads the processors that a VM may run on: nil is all.
func (o *object) affinity() []int {
	n := o.get("affinity")
	if n == nil {
		return nil
	}
	var cpus []int
	list := o.list("affinity", MaxHostCPUs)
	for _, item := range list {
		before := len(o.d.problems)
		cpu := int(o.d.integer(item, 0, MaxHostCPUs-1))
		switch {
		case len(o.d.problems) > before:
		case slices.Contains(cpus, cpu):
			o.d.fail(item, "processor %d is there twice", cpu)
		default:
			cpus = append(cpus, cpu)
		}
	}
	if n.Kind == List && len(n.Items) == 0 {
		o.d.fail(n, "names no processor: leave it out for all of them")
	}
	slices.Sort(cpus)
	return cpus
}

// pool reads the name of the pool that a VM is in, and holds the VM's reservation against the limits of that and those above. It
// may be more than the pool reserves, see package admit.
func (o *object) pool(r resource, of func(*Pool) *Share, reservation uint64) string {
	n := o.get("pool")
	name, ok := o.d.text(n)
	if !ok || o.d.poolsUnsure || o.d.AnyPool {
		return name
	}
	i := slices.IndexFunc(o.d.Pools, func(p Pool) bool { return p.Name == name })
	if i < 0 {
		o.d.fail(n, "there is no pool %s: %s", quote(name), o.d.poolNames())
		return ""
	}
	for i >= 0 {
		p := &o.d.Pools[i]
		if most := of(p).Limit; most != 0 && reservation > most {
			o.d.fail(o.get("reservation"), "%s is above the limit of %s of pool %s: raise that or lower this one", r.format(reservation), r.format(most), p.Name)
			break
		}
		i = slices.IndexFunc(o.d.Pools[:i], func(above Pool) bool { return above.Name == p.Parent }) // parents come first
	}
	return name
}

func (d *Decoder) poolNames() string {
	if len(d.Pools) == 0 {
		return "the host has none; name it under pools in the document of kind Host"
	}
	const most = 8
	var names []string
	for _, p := range d.Pools[:min(most, len(d.Pools))] {
		names = append(names, p.Name)
	}
	if more := len(d.Pools) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return "the host has " + strings.Join(names, ", ")
}

func cpuOf(p *Pool) *Share    { return &p.CPU }
func memoryOf(p *Pool) *Share { return &p.Memory }

// PoolPolicy decodes what a pool is to have: the groups cpu and memory of a host's pool, by themselves. With any problem it is of
// no use.
func (d *Decoder) PoolPolicy(n *Node) (cpu, memory Share, problems Problems) {
	d.problems = nil
	o := d.object(n)
	cpu, memory = o.ofPool(d.poolResources())
	o.done()
	return cpu, memory, d.problems
}

// poolResources are what a pool is given of.
func (d *Decoder) poolResources() (cpu, memory resource) {
	return d.processors(MaxHostCPUs * Processor), d.bytes(MaxPoolSize)
}

// ofPool reads what a pool has of them.
func (o *object) ofPool(cpu, memory resource) (c, m Share) {
	group := o.group("cpu")
	c = group.share(cpu, PoolCPUShares)
	group.done()
	group = o.group("memory")
	m = group.share(memory, PoolMemoryShares)
	group.done()
	return c, m
}

// readPools reads a host's pools and puts parents before their children.
func (d *Decoder) readPools(list []*Node) []Pool {
	cpu, memory := d.poolResources()
	before := len(d.problems)
	var pools []Pool
	at := map[string]*Node{}
	for _, n := range list {
		o := d.object(n)
		var p Pool
		if name := o.require("name", "a name that no other pool has"); name != nil {
			p.Name = d.name(name)
			switch first := at[p.Name]; {
			case p.Name == "":
			case p.Name == SystemPool:
				d.fail(name, "%s is Keel's own: give another name", quote(p.Name))
			case first != nil:
				d.fail(name, "%s is taken by another pool (%s)", quote(p.Name), first.Get("name").place())
			default:
				at[p.Name] = n
			}
		}
		p.Parent, _ = d.text(o.get("parent"))
		p.CPU, p.Memory = o.ofPool(cpu, memory)
		o.done()
		if at[p.Name] == n {
			pools = append(pools, p)
		}
	}
	d.Pools = d.tree(pools, at)
	d.reserved(d.Pools, at, "cpu", cpu, cpuOf)
	d.reserved(d.Pools, at, "memory", memory, memoryOf)
	d.poolsUnsure = len(d.problems) > before
	return d.Pools
}

// tree puts parents before their children, and refuses parents that aren't there, cycles and what is too deep.
func (d *Decoder) tree(pools []Pool, at map[string]*Node) []Pool {
	depth := map[string]int{"": 0}
	var sorted []Pool
	for level := 0; ; level++ {
		placed := len(sorted)
		for _, p := range pools {
			if above, ok := depth[p.Parent]; !ok || above != level {
				continue
			}
			depth[p.Name] = level + 1
			sorted = append(sorted, p)
			if level == MaxPoolDepth {
				d.fail(at[p.Name].Get("parent"), "%s is nested more than %d deep", quote(p.Name), MaxPoolDepth)
			}
		}
		if len(sorted) == placed {
			break
		}
	}
	for _, p := range pools {
		if _, ok := depth[p.Name]; ok {
			continue
		}
		n := at[p.Name].Get("parent")
		if at[p.Parent] == nil {
			d.fail(n, "there is no pool %s", quote(p.Parent))
		} else if cycle := cycleFrom(p.Name, pools); cycle != "" {
			d.fail(n, "is a cycle: %s", cycle)
		}
	}
	return sorted
}

// cycleFrom returns the cycle that a pool is part of, such as a in b in a, or "" if it only leads to one.
func cycleFrom(name string, pools []Pool) string {
	const most = 4 // names that are said
	text, at := name, name
	for i := range pools {
		next := slices.IndexFunc(pools, func(p Pool) bool { return p.Name == at })
		if next < 0 {
			return ""
		}
		at = pools[next].Parent
		switch {
		case i < most || at == name:
			text += " in " + at
		case i == most:
			text += " in ..."
		}
		if at == name {
			return text
		}
	}
	return ""
}

// reserved refuses pools whose reservations don't fit into the limit of one above, together or alone. What is kept for a pool is
// its reservation, or what those in it reserve together if that is more: see package admit.
func (d *Decoder) reserved(pools []Pool, at map[string]*Node, key string, r resource, of func(*Pool) *Share) {
	within := map[string]uint64{} // by a pool's name: what is kept for those in it
	byName := map[string]*Pool{}
	for i := range pools {
		p := &pools[i]
		byName[p.Name] = p
		grown := map[string]uint64{}
		adds := of(p).Reservation
		for above := byName[p.Parent]; above != nil && adds != 0; above = byName[above.Parent] {
			has, now := of(above), within[above.Name]+adds
			if has.Limit != 0 && now > has.Limit {
				d.fail(at[p.Name].Get(key).Get("reservation"), "%s: with it the pools in %s reserve %s, and its limit is %s: raise that or lower this one",
					r.format(of(p).Reservation), above.Name, r.format(now), r.format(has.Limit))
				grown = nil
				break
			}
			grown[above.Name] = now
			adds = max(has.Reservation, now) - max(has.Reservation, within[above.Name])
		}
		maps.Copy(within, grown)
	}
}
