package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Firmware is how a QEMU gets to the kernel.
type Firmware string

const (
	PVH  Firmware = "pvh"  // QEMU loads the kernel itself
	BIOS Firmware = "bios" // SeaBIOS boots the ISO
	UEFI Firmware = "uefi" // OVMF boots the ISO
)

// EmulatedCPU is QEMU's processor without KVM: the most recent that its
// emulation of AMD-V and nested paging comes with.
const EmulatedCPU = "EPYC-v3,+svm,+npt"

// How QEMU emulates: by one thread for all processors, or by one for each. Its emulation of AMD-V
// needs one: every FNINIT, FXRSTOR and XRSTOR clears a bit of the first processor's flags from
// whichever processor executes it, without a lock, and undoes what VMRUN or an exit changes there
// meanwhile. The host then goes on with nested paging, and ends in a triple fault.
const (
	OneThread = "tcg,thread=single"
	Threads   = "tcg,thread=multi"
)

// QEMU is a machine in QEMU. The zero value of every field but Kernel or ISO
// will do.
type QEMU struct {
	CPUs     int      // default 1
	MemMiB   int      // default 1024
	Firmware Firmware // default PVH
	Kernel   string   // PVH: path of the kernel image
	Args     string   // PVH: the kernel's command line
	Seed     string   // PVH: path of a seed, given as the boot module
	ISO      string   // BIOS, UEFI: path of a medium
	Stick    bool     // the medium is a USB stick, not a CD
	CPU      string   // -cpu; default EmulatedCPU, or host with KVM
	KVM      bool     // use KVM; see KVMWorks
	Accel    string   // -accel; default OneThread
	Machine  string   // -machine; default q35
	Network  *Network // a network card; default none
	Reboot   bool     // a reset restarts the machine instead of ending it
	Extra    []string // more arguments
}

// Program implements Machine.
func (QEMU) Program() string { return "qemu-system-x86_64" }

func (q QEMU) command(dir string) (*command, error) {
	cpu, accel := EmulatedCPU, OneThread
	if q.KVM {
		cpu, accel = "host", "kvm"
	}
	args := []string{
		"-machine", orDefault(q.Machine, "q35"),
		"-accel", orDefault(q.Accel, accel),
		"-cpu", orDefault(q.CPU, cpu),
		"-smp", strconv.Itoa(max(q.CPUs, 1)),
		"-m", strconv.Itoa(orDefault(q.MemMiB, 1024)),
		"-display", "none", "-monitor", "none", "-nic", "none",
		"-chardev", "file,id=serial,path=" + qemuQuote(filepath.Join(dir, serialFile)),
		"-serial", "chardev:serial",
	}
	if !q.Reboot {
		args = append(args, "-no-reboot")
	}
	args = append(args, q.Network.qemu()...)
	more, err := q.boot(dir)
	if err != nil {
		return nil, err
	}
	return &command{
		args: append(append(args, more...), q.Extra...),
		off:  func(_ string, err error) bool { return err == nil },
	}, nil
}

// boot returns the arguments that say what to boot.
func (q QEMU) boot(dir string) ([]string, error) {
	firmware := orDefault(q.Firmware, PVH)
	if want, other := q.Kernel, q.ISO; firmware == PVH && (want == "" || other != "") {
		return nil, errors.New("PVH boots a Kernel and no ISO")
	} else if firmware != PVH && (q.ISO == "" || q.Kernel != "" || q.Seed != "" || q.Args != "") {
		return nil, fmt.Errorf("%s boots an ISO; kernel, seed and arguments are on it", firmware)
	}
	path, err := filepath.Abs(q.Kernel + q.ISO) // one of them is empty
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}

	if firmware == PVH {
		args := []string{"-kernel", path, "-append", q.Args}
		if q.Seed != "" {
			seed, err := filepath.Abs(q.Seed)
			if err != nil {
				return nil, err
			}
			args = append(args, "-initrd", seed)
		}
		return args, nil
	}

	var args []string
	if firmware == UEFI {
		if args, err = ovmf(dir); err != nil {
			return nil, err
		}
	}
	medium := "if=none,id=medium,format=raw,readonly=on,file=" + qemuQuote(path)
	if q.Stick {
		return append(args, "-drive", medium, "-device", "qemu-xhci", "-device", "usb-storage,drive=medium,bootindex=0"), nil
	}
	return append(args, "-drive", medium, "-device", "ide-cd,drive=medium,bootindex=0"), nil
}

// ovmf returns the arguments for UEFI firmware with variables of its own in dir.
func ovmf(dir string) ([]string, error) {
	const code, vars = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
	data, err := os.ReadFile(vars)
	if err != nil {
		return nil, fmt.Errorf("UEFI firmware: %w (Debian's ovmf; make setup installs it)", err)
	}
	own := filepath.Join(dir, "ovmf-vars.fd")
	if err := os.WriteFile(own, data, 0o644); err != nil {
		return nil, err
	}
	return []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,file=" + qemuQuote(own),
	}, nil
}

// qemuQuote quotes a value within one of QEMU's comma-separated options.
func qemuQuote(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// orDefault returns v, or def when v is its type's zero value.
func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
