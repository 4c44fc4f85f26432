// Peer makes a medium with the host that Keel is compared with: Debian's kernel with its KVM, and as its only program
// the monitor in tools/peer/vmm.
//
//	go run ./tools/peer [-guest build/guest] -o build/peer.iso
//
// `make guest` fetches the kernel and the modules. The medium boots from BIOS, in Bochs above all; test/bench starts it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"keel/boot/iso"
	"keel/tools/guest/cpio"
	"keel/tools/guest/initrd"
)

// cmdline has the kernel as fast as it gets.
const cmdline = "console=ttyS0 quiet mitigations=off"

func main() {
	out := flag.String("o", "build/peer.iso", "`file` to write")
	from := flag.String("guest", "build/guest", "`folder` with Debian's kernel and modules")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := build(ctx, *out, *from); err != nil {
		fmt.Fprintf(os.Stderr, "peer: %v\n", err)
		os.Exit(1)
	}
}

func build(ctx context.Context, out, from string) error {
	dir, err := os.MkdirTemp("", "keel-peer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "keel/tools/peer/vmm")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the monitor: %w\n%s", err, text)
	}
	init, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	files := initrd.Single(init, initrd.Device("dev/kvm", 10, 232), cpio.File{Name: "modules", Mode: cpio.Dir | 0o755})
	modules, err := filepath.Glob(filepath.Join(from, "kvm", "*.ko"))
	if err != nil {
		return err
	}
	if len(modules) == 0 {
		return fmt.Errorf("%s has no modules of KVM: make guest fetches them", from)
	}
	for _, path := range modules {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, cpio.File{Name: "modules/" + filepath.Base(path), Mode: cpio.Regular | 0o644, Data: data})
	}
	archive := filepath.Join(dir, "initrd")
	if err := initrd.Save(archive, files); err != nil {
		return err
	}
	return iso.BuildLinux(ctx, out, filepath.Join(from, "vmlinuz"), archive, cmdline)
}
