package vm

import (
	"fmt"
	"log/slog"

	"keel/arch/amd64/virt"
	"keel/vmkernel/seed"
)

// kindNames are the kinds of exits as the figures name them.
var kindNames = [virt.Kinds]string{
	virt.KindUnknown: "unknown", virt.KindHostInterrupt: "interrupt", virt.KindHostNMI: "nmi",
	virt.KindMachineCheck: "machinecheck", virt.KindInterruptWindow: "window", virt.KindNMIWindow: "nmiwindow",
	virt.KindTimer: "timer", virt.KindCPUID: "cpuid", virt.KindHLT: "hlt", virt.KindPause: "pause",
	virt.KindIO: "io", virt.KindRDMSR: "rdmsr", virt.KindWRMSR: "wrmsr", virt.KindXSETBV: "xsetbv",
	virt.KindCR: "cr", virt.KindMMIO: "mmio", virt.KindAPICRead: "apicread", virt.KindAPICWrite: "apicwrite",
	virt.KindEOI: "eoi", virt.KindTPR: "tpr", virt.KindTripleFault: "triplefault", virt.KindINIT: "init",
	virt.KindSIPI: "sipi", virt.KindUndefined: "undefined", virt.KindNop: "nop", virt.KindException: "exception",
	virt.KindTaskSwitch: "taskswitch", virt.KindFailedEntry: "failedentry", virt.KindCR8: "cr8",
	virt.KindProtection: "protection", virt.KindResume: "resume", virt.KindDelivery: "delivery",
}

func kindName(k virt.Kind) string {
	if k < virt.Kinds && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind%d", uint32(k))
}

// logFigures says what the VM cost, for benchmarks: ticks of the host's time-stamp counter, as Stats has them; the
// exits by kind, but for those that never happened; what the guest's balloon gave back, in bytes, that which came twice
// counted twice; what of its memory it has at the end, how much of that in large pages, what it costs beyond, and the NUMA node
// that it is on, in bytes; and how much memory the host takes for itself, which is what all VMs together take beyond their own, and
// what it takes at rest (used).
func (in *instance) logFigures() {
	f := in.figures()
	var attrs []any
	if f.total != 0 {
		attrs = append(attrs, slog.Uint64("total", f.total))
	}
	attrs = append(attrs, slog.Uint64("guest", f.guest), slog.Uint64("outside", f.outside))
	var kinds []any
	for k, n := range f.exits {
		if n != 0 {
			kinds = append(kinds, slog.Uint64(kindName(virt.Kind(k)), n))
		}
	}
	if b := in.board.balloon.State(); b.Released != 0 {
		attrs = append(attrs, slog.Group("balloon", slog.Uint64("released", b.Released), slog.Uint64("reported", b.Reported)))
	}
	if use, err := in.backend.MemoryUse(in.handle); err == nil {
		attrs = append(attrs, slog.Group("memory", slog.Uint64("resident", use.Resident), slog.Uint64("large", use.Large),
			slog.Uint64("overhead", use.Overhead), slog.Int("node", in.share.node)))
	}
	in.log.Info("vm figures", append(attrs, slog.Group("exits", kinds...), slog.String("used", seed.FormatSize(in.backend.UsedMemory())))...)
}
