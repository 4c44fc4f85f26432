package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"keel/test/guest/wake"
)

// KVM's calls (Linux: include/uapi/linux/kvm.h).
const (
	kvmCreateVM          = 0xAE01
	kvmGetVCPUMmapSize   = 0xAE04
	kvmGetSupportedCPUID = 0xC008AE05
	kvmCreateVCPU        = 0xAE41
	kvmSetMemory         = 0x4020AE46
	kvmCreateIRQChip     = 0xAE60
	kvmRun               = 0xAE80
	kvmSetRegs           = 0x4090AE82
	kvmGetSregs          = 0x8138AE83
	kvmSetSregs          = 0x4138AE84
	kvmSetCPUID2         = 0x4008AE90

	exitIO = 2
)

// Offsets in struct kvm_run.
const (
	runReason = 8
	runIn     = 32 // direction: 0 in
	runPort   = 34
	runData   = 40 // offset of the data
)

const memorySize = 4 << 20

type machine struct {
	vcpu   uintptr
	shared []byte
	memory []byte
}

// The structures of kvm.h, as far as they are set.
type (
	memoryRegion struct {
		slot, flags            uint32
		guest, size, userspace uint64
	}
	segment struct {
		base                                              uint64
		limit                                             uint32
		selector                                          uint16
		kind, present, dpl, db, s, l, g, avl, unusable, _ uint8
	}
	sregs struct {
		cs, ds, es, fs, gs, ss, tr, ldt         segment
		gdt, idt                                [2]uint64
		cr0, cr2, cr3, cr4, cr8, efer, apicBase uint64
		interrupts                              [4]uint64
	}
	regs struct {
		gpr         [16]uint64 // RAX first
		rip, rflags uint64
	}
	cpuidEntry struct {
		function, index, flags, eax, ebx, ecx, edx uint32
		_                                          [3]uint32
	}
	cpuid struct {
		n, _    uint32
		entries [100]cpuidEntry
	}
)

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func call[T any](fd uintptr, name string, op uintptr, arg *T) (uintptr, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, op, uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return 0, fmt.Errorf("%s: %w", name, errno)
	}
	return r, nil
}

// newMachine makes a virtual machine that is about to enter a multiboot kernel.
func newMachine(kvm *os.File, image []byte) (*machine, error) {
	m := &machine{}
	vm, err := call[byte](kvm.Fd(), "KVM_CREATE_VM", kvmCreateVM, nil)
	if err != nil {
		return nil, err
	}
	if m.memory, err = syscall.Mmap(-1, 0, memorySize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_SHARED); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	copy(m.memory[le.Uint32(image[16:]):], image) // load_addr
	if _, err := call(vm, "KVM_SET_USER_MEMORY_REGION", kvmSetMemory, &memoryRegion{size: memorySize, userspace: uint64(addressOf(m.memory))}); err != nil {
		return nil, err
	}
	if _, err := call[byte](vm, "KVM_CREATE_IRQCHIP", kvmCreateIRQChip, nil); err != nil {
		return nil, err
	}
	if m.vcpu, err = call[byte](vm, "KVM_CREATE_VCPU", kvmCreateVCPU, nil); err != nil {
		return nil, err
	}
	size, err := call[byte](kvm.Fd(), "KVM_GET_VCPU_MMAP_SIZE", kvmGetVCPUMmapSize, nil)
	if err != nil {
		return nil, err
	}
	if m.shared, err = syscall.Mmap(int(m.vcpu), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		return nil, err
	}
	features := &cpuid{n: uint32(len(cpuid{}.entries))}
	if _, err := call(kvm.Fd(), "KVM_GET_SUPPORTED_CPUID", kvmGetSupportedCPUID, features); err != nil {
		return nil, err
	}
	for i := range features.entries[:features.n] {
		if features.entries[i].function == 1 {
			features.entries[i].ecx |= 1 << 24 // the timer's TSC-deadline mode: the caller's to add
		}
	}
	if _, err := call(m.vcpu, "KVM_SET_CPUID2", kvmSetCPUID2, features); err != nil {
		return nil, err
	}
	return m, m.reset(uint64(le.Uint32(image[28:]))) // entry_addr
}

// reset has the processor in protected mode, with flat segments, as multiboot wants it.
func (m *machine) reset(entry uint64) error {
	var s sregs
	if _, err := call(m.vcpu, "KVM_GET_SREGS", kvmGetSregs, &s); err != nil {
		return err
	}
	code := segment{limit: 0xFFFFFFFF, selector: 8, kind: 0xB, present: 1, db: 1, s: 1, g: 1}
	data := code
	data.selector, data.kind = 16, 3
	s.cs, s.ds, s.es, s.fs, s.gs, s.ss = code, data, data, data, data, data
	s.cr0 |= 1
	if _, err := call(m.vcpu, "KVM_SET_SREGS", kvmSetSregs, &s); err != nil {
		return err
	}
	_, err := call(m.vcpu, "KVM_SET_REGS", kvmSetRegs, &regs{gpr: [16]uint64{0x2BADB002}, rip: entry, rflags: 2})
	return err
}

// run runs the machine until it ends itself. What it sends on COM1 goes to said.
func (m *machine) run(said io.ByteWriter) error {
	runtime.LockOSThread()
	le := binary.LittleEndian
	for {
		_, err := call[byte](m.vcpu, "KVM_RUN", kvmRun, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if reason := le.Uint32(m.shared[runReason:]); reason != exitIO {
			return fmt.Errorf("exit for reason %d (linux/kvm.h)", reason)
		}
		port, data := le.Uint16(m.shared[runPort:]), &m.shared[le.Uint64(m.shared[runData:])]
		switch in := m.shared[runIn] == 0; {
		case in && port == 0x3FD:
			*data = 0x60 // ready to send
		case !in && port == 0x3F8:
			said.WriteByte(*data)
		case !in && port == wake.EndPort:
			return nil
		}
	}
}
