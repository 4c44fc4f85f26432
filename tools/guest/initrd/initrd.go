// Package initrd makes initial file systems for Linux guests: busybox, an init
// script, and what a test adds.
//
// The rule that it keeps: nothing is in a guest but what is named here or by
// the caller, and equal inputs give equal files. tools/guest and the tests
// that start guests call it.
package initrd

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"os"
	"strings"

	"keel/tools/guest/cpio"
)

// Demo is the init script of the demo guest.
//
//go:embed demo.sh
var Demo string

// applets are the names by which scripts can call busybox.
var applets = strings.Fields("[ awk cat chmod cmp cp cut date dd dmesg echo env expr false find free grep head " +
	"hexdump kill ln ls md5sum mkdir mknod mount mv nproc od poweroff printf ps reboot rm sed seq sh sha256sum " +
	"sleep sort stty sync tail taskset test time timeout top tr true umount uname uptime usleep wc xargs yes")

// Device returns a character device.
func Device(name string, major, minor uint32) cpio.File {
	return cpio.File{Name: name, Mode: cpio.Char | 0o600, Major: major, Minor: minor}
}

// Program returns an executable file.
func Program(name string, data []byte) cpio.File {
	return cpio.File{Name: name, Mode: cpio.Regular | 0o755, Data: data}
}

// Base returns what a guest has at least: places to mount on, and the devices
// that the kernel and init use before anything is mounted.
func Base() []cpio.File {
	return []cpio.File{
		{Name: "dev", Mode: cpio.Dir | 0o755},
		{Name: "proc", Mode: cpio.Dir | 0o555},
		{Name: "sys", Mode: cpio.Dir | 0o555},
		{Name: "tmp", Mode: cpio.Dir | 0o1777},
		Device("dev/console", 5, 1), // Linux, Documentation/admin-guide/devices.txt
		Device("dev/null", 1, 3),
		Device("dev/port", 1, 4),
		Device("dev/kmsg", 1, 11),
		Device("dev/ttyS0", 4, 64),
	}
}

// Script returns a guest that runs a shell script as its /init with busybox,
// a statically linked one.
func Script(busybox []byte, script string, extra ...cpio.File) []cpio.File {
	files := append(Base(), Program("bin/busybox", busybox))
	for _, name := range applets {
		files = append(files, cpio.File{Name: "bin/" + name, Mode: cpio.Link | 0o777, Data: []byte("busybox")})
	}
	files = append(files, Program("init", []byte(script)))
	return append(files, extra...)
}

// Single returns a guest whose only program is init, statically linked.
func Single(init []byte, extra ...cpio.File) []cpio.File {
	return append(append(Base(), Program("init", init)), extra...)
}

// Pack returns files as a compressed archive, what a boot loader is given.
func Pack(files []cpio.File) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := cpio.Write(z, files); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Save writes files as a compressed archive to path.
func Save(path string, files []cpio.File) error {
	data, err := Pack(files)
	if err != nil {
		return fmt.Errorf("initrd %s: %w", path, err)
	}
	return os.WriteFile(path, data, 0o644)
}
