package machine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// KVMWorks reports which virtualisation, "vt-x" or "amd-v", a machine has that
// QEMU runs with KVM on this host; "" and the reason when it can't run one, or
// one without either. It starts such a machine to find out, once, for a
// presence of /dev/kvm promises little.
var KVMWorks = sync.OnceValues(func() (string, error) {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	f.Close()
	return probe("kvm", "host")
})

// probeLimit is how long the probe may take; it ends by itself at once.
const probeLimit = 20 * time.Second

// probe boots the probe with an accelerator and processor of QEMU's.
func probe(accel, cpu string) (string, error) {
	dir, err := os.MkdirTemp("", "keel-probe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	kernel := filepath.Join(dir, "probe.elf")
	if err := os.WriteFile(kernel, probeImage(), 0o644); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	text, err := exec.CommandContext(ctx, QEMU{}.Program(), "-accel", accel, "-cpu", cpu, "-m", "64",
		"-kernel", kernel, "-display", "none", "-monitor", "none", "-serial", "none", "-nic", "none", "-no-reboot",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", fmt.Errorf("QEMU with %s: the probe did not report back (%v)", accel, err)
	}
	// isa-debug-exit makes the status of what is written: twice it, and one.
	switch exit.ExitCode() {
	case probeVTx<<1 | 1:
		return "vt-x", nil
	case probeAMDV<<1 | 1:
		return "amd-v", nil
	case probeNone<<1 | 1:
		return "", fmt.Errorf("QEMU with %s gives its machines neither VT-x with EPT nor AMD-V with nested paging", accel)
	}
	return "", fmt.Errorf("QEMU with %s: %v: %.200s", accel, err, text)
}

// What the probe writes to port 0xf4. The sums with one aren't among the
// statuses that QEMU itself exits with.
const (
	probeNone = 8
	probeVTx  = 9
	probeAMDV = 10
)

// probeCode runs in 32-bit protected mode, position-independent.
var probeCode = []byte{
	0xB8, 0x01, 0x00, 0x00, 0x00, // 00 mov eax, 1
	0x0F, 0xA2, //                   05 cpuid
	0x0F, 0xBA, 0xE1, 0x05, //       07 bt ecx, 5            VMX
	0x72, 0x2F, //                   0b jc vmx
	0xB8, 0x01, 0x00, 0x00, 0x80, // 0d mov eax, 0x80000001
	0x0F, 0xA2, //                   12 cpuid
	0x0F, 0xBA, 0xE1, 0x02, //       14 bt ecx, 2            SVM
	0x73, 0x1D, //                   18 jnc none
	0xB8, 0x0A, 0x00, 0x00, 0x80, // 1a mov eax, 0x8000000a
	0x0F, 0xA2, //                   1f cpuid
	0xF6, 0xC2, 0x01, //             21 test dl, 1           nested paging
	0x74, 0x11, //                   24 jz none
	0xB9, 0x80, 0x00, 0x00, 0xC0, // 26 mov ecx, 0xc0000080  EFER
	0x0F, 0x32, //                   2b rdmsr
	0x80, 0xCC, 0x10, //             2d or ah, 0x10          SVME
	0x0F, 0x30, //                   30 wrmsr                faults, which ends QEMU, when locked off
	0xB0, probeAMDV, //              32 mov al, probeAMDV
	0xE6, 0xF4, //                   34 out 0xf4, al
	0xF4,            //                         36 hlt
	0xB0, probeNone, //              37 none: mov al, probeNone
	0xE6, 0xF4, //                   39 out 0xf4, al
	0xF4,                         //                         3b hlt
	0xB9, 0x3A, 0x00, 0x00, 0x00, // 3c vmx: mov ecx, 0x3a   IA32_FEATURE_CONTROL
	0x0F, 0x32, //                   41 rdmsr
	0x24, 0x05, //                   43 and al, 5            locked, VMX allowed
	0x3C, 0x01, //                   45 cmp al, 1
	0x74, 0xEE, //                   47 je none
	0xB9, 0x8B, 0x04, 0x00, 0x00, // 49 mov ecx, 0x48b       IA32_VMX_PROCBASED_CTLS2
	0x0F, 0x32, //                   4e rdmsr
	0xF6, 0xC2, 0x02, //             50 test dl, 2           EPT
	0x74, 0xE2, //                   53 jz none
	0xB0, probeVTx, //               55 mov al, probeVTx
	0xE6, 0xF4, //                   57 out 0xf4, al
	0xF4, //                         59 hlt
}

// probeImage returns an ELF32 file with a PVH note that runs probeCode.
func probeImage() []byte {
	const (
		base               = 0x100000
		ehdr, phdr         = 52, 32
		noteOff, noteSize  = ehdr + 2*phdr, 20
		code               = noteOff + noteSize
		ptLoad, ptNote, rx = 1, 4, 5
	)
	size := uint32(code + len(probeCode))
	b := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	le := binary.LittleEndian
	half := func(vs ...uint16) {
		for _, v := range vs {
			b = le.AppendUint16(b, v)
		}
	}
	word := func(vs ...uint32) {
		for _, v := range vs {
			b = le.AppendUint32(b, v)
		}
	}
	half(2, 3) // ET_EXEC, EM_386
	word(1, base+code, ehdr, 0, 0)
	half(ehdr, phdr, 2, 0, 0, 0)
	word(ptLoad, 0, base, base, size, size, rx, 4)
	word(ptNote, noteOff, base+noteOff, base+noteOff, noteSize, noteSize, rx, 4)
	word(4, 4, 18) // XEN_ELFNOTE_PHYS32_ENTRY
	b = append(b, "Xen\x00"...)
	word(base + code)
	return append(b, probeCode...)
}
