package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"keel/vmkernel/sys"
	"keel/vmkernel/vm"
	"keel/vmkernel/vm/cpumodel"
)

// A reached is all that a guest can reach outside its own memory and registers.
type reached struct {
	ports, mmio []vm.Reach
	msrs        []msr
	leaves      []sys.CPUIDEntry // of both vendors
	features    []cpumodel.Feature
}

// hypercalls are the guest's VMCALL and VMMCALL: there are none, both are undefined instructions.
const hypercalls = "none: VMCALL and VMMCALL are undefined instructions"

// reach reads the tables, and the source in the folder root.
func reach(root string) (*reached, error) {
	var r reached
	var err error
	if r.ports, err = vm.SurfacePorts(); err != nil {
		return nil, err
	}
	slices.SortFunc(r.ports, func(a, b vm.Reach) int { return cmp.Compare(a.First, b.First) })
	if r.mmio, err = vm.SurfaceMMIO(); err != nil {
		return nil, err
	}
	if r.msrs, err = msrs(root); err != nil {
		return nil, err
	}
	// A host that has everything: what guests may see is then all that they ever can.
	everything := func(leaf, sub uint32) (a, b, c, d uint32) { return ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0) }
	const hz = 1_000_000_000
	seen := map[[2]uint32]bool{}
	for _, virt := range []uint64{sys.VirtVTX, sys.VirtAMDV} {
		entries, _ := cpumodel.Build(virt, everything, 1, hz)
		for _, e := range entries {
			if k := [2]uint32{e.Leaf, e.Subleaf}; !seen[k] {
				seen[k] = true
				r.leaves = append(r.leaves, e)
			}
		}
	}
	slices.SortFunc(r.leaves, func(a, b sys.CPUIDEntry) int {
		return cmp.Or(cmp.Compare(a.Leaf, b.Leaf), cmp.Compare(a.Subleaf, b.Subleaf))
	})
	r.features = cpumodel.Features()
	return &r, nil
}

// leaves says what of a guest's bytes a range of ports lets out to the host, "" for nothing.
func leaves(name string) string {
	switch name {
	case "ttyS0", "ttyS1", "ttyS2", "ttyS3":
		return "what is sent, as lines of the host's log, escaped, where the VM's serial log is host"
	case "debug.exitPort":
		return "what is written, as the reason for which the VM stopped, where the VM has the port"
	}
	return ""
}

func (r *reached) portsTitle() string {
	count := uint64(0)
	for _, p := range r.ports {
		count += p.Size
	}
	return fmt.Sprintf("I/O ports that a guest reaches: %d of 65536, all others read ones", count)
}

func (r *reached) msrsTitle() string {
	return fmt.Sprintf("MSRs: %d, all others are refused with #GP", len(r.msrs))
}

func (r *reached) leavesTitle() string {
	return fmt.Sprintf("CPUID leaves: %d, all others return zeros; feature bits that a guest may see: %d", len(r.leaves), len(r.features))
}

func (r *reached) print(w io.Writer) {
	half := func(x vm.Reach) string {
		if x.Lower {
			return "lower half"
		}
		return "upper half"
	}
	fmt.Fprintf(w, "\n%s\tanswered by\tleaves the guest\n", r.portsTitle())
	for _, p := range r.ports {
		fmt.Fprintf(w, "  %04x..%04x %s\t%s\t%s\n", p.First, p.First+p.Size-1, p.Name, half(p), leaves(p.Name))
	}
	fmt.Fprintln(w, "\nAddresses outside its memory, all others read ones\tanswered by")
	for _, m := range r.mmio {
		fmt.Fprintf(w, "  %08x..%08x %s\t%s\n", m.First, m.First+m.Size-1, m.Name, half(m))
	}
	fmt.Fprintf(w, "\n%s\tVT-x\tAMD-V\n", r.msrsTitle())
	for _, m := range r.msrs {
		fmt.Fprintf(w, "  %s %s\t%s\t%s\n", m.addresses(), m.name, m.access(0), m.access(1))
	}
	fmt.Fprintf(w, "\n%s\n", r.leavesTitle())
	for _, l := range r.leaves {
		sub := ""
		if l.Indexed != 0 {
			sub = fmt.Sprintf(", subleaf %d", l.Subleaf)
		}
		var names string
		for _, f := range r.features {
			if f.Leaf == l.Leaf && (l.Indexed == 0 || f.Sub == l.Subleaf) {
				names += " " + f.Name
			}
		}
		fmt.Fprintf(w, "  %08x%s%s\n", l.Leaf, sub, names)
	}
	fmt.Fprintf(w, "\nHypercalls\n  %s\n", hypercalls)
}
