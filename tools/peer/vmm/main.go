package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"keel/test/guest/wake"
)

// modules of KVM, in the order in which they depend on each other. tools/peer puts them there.
var modules = []string{"irqbypass", "kvm", "kvm-intel"}

func main() {
	if err := run(); err != nil {
		fmt.Println("PEER FAIL", err)
	} else {
		fmt.Println("PEER done")
	}
	drain(os.Stdout)
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // the parent of all processes must not end
}

func run() error {
	for _, name := range modules {
		if err := load(filepath.Join("/modules", name+".ko")); err != nil {
			return err
		}
	}
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := measure(kvm, "idle"); err != nil {
		return err
	}
	busy, err := newMachine(kvm, wake.Spin())
	if err != nil {
		return err
	}
	go busy.run(nil)
	return measure(kvm, "saturated")
}

// drain waits until a terminal has sent what was written to it: what it hasn't is lost when the machine goes off.
func drain(f *os.File) {
	const tcsbrk, only = 0x5409, 1 // Linux: include/uapi/asm-generic/ioctls.h; TCSBRK sends no break where its argument isn't 0
	syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), tcsbrk, only)
}

// load loads a module of the kernel's.
func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const finitModule = 313
	parameters := []byte{0}
	if _, _, errno := syscall.Syscall(finitModule, f.Fd(), addressOf(parameters), 0); errno != 0 {
		return fmt.Errorf("loading %s: %w", path, errno)
	}
	return nil
}

// measure runs the measuring guest and prints what it does.
func measure(kvm *os.File, name string) error {
	m, err := newMachine(kvm, wake.Image())
	if err != nil {
		return err
	}
	var said strings.Builder
	if err := m.run(&said); err != nil {
		return err
	}
	latencies := strings.Fields(said.String())
	if len(latencies) != wake.Rounds {
		return fmt.Errorf("the guest printed %d latencies, want %d", len(latencies), wake.Rounds)
	}
	for line := range slices.Chunk(latencies, 16) {
		fmt.Println("PEER", name, strings.Join(line, " "))
	}
	return nil
}
