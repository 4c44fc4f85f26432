package core

import (
	"testing"
	"unsafe"
)

// Offsets in struct rt_sigframe, struct ucontext and struct sigcontext of Linux on x86-64.
func TestSignalFrameIsLinux(t *testing.T) {
	var f sigFrame
	const uc, mc = 8, 8 + 40
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"size", unsafe.Sizeof(f), sigFrameSize},
		{"ucontext", unsafe.Offsetof(f.ucFlags), uc},
		{"uc_stack", unsafe.Offsetof(f.ucStack), uc + 16},
		{"r8", unsafe.Offsetof(f.r8), mc},
		{"rdi", unsafe.Offsetof(f.rdi), mc + 64},
		{"rsp", unsafe.Offsetof(f.rsp), mc + 120},
		{"rip", unsafe.Offsetof(f.rip), mc + 128},
		{"eflags", unsafe.Offsetof(f.rflags), mc + 136},
		{"cs", unsafe.Offsetof(f.segments), mc + 144},
		{"err", unsafe.Offsetof(f.err), mc + 152},
		{"cr2", unsafe.Offsetof(f.cr2), mc + 176},
		{"fpstate", unsafe.Offsetof(f.fpstate), mc + 184},
		{"uc_sigmask", unsafe.Offsetof(f.sigmask), mc + 256},
		{"siginfo", unsafe.Offsetof(f.signo), mc + 264},
		{"si_addr", unsafe.Offsetof(f.addr), mc + 264 + 16},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", c.name, c.got, c.want)
		}
	}
}

// The assembly saves vector registers at a multiple of 64, which XSAVE demands.
func TestContextIsAligned(t *testing.T) {
	if off := unsafe.Offsetof(context{}.xsave); off%64 != 0 {
		t.Errorf("xsave is at %d of a context", off)
	}
	if n := unsafe.Sizeof(world{}); n > 4096 {
		t.Errorf("a world has %d bytes, more than its page frame", n)
	}
}
