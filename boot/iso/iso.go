package iso

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed grub.cfg
var grubConfig []byte

// Files on the medium. grub.cfg names them too; a test compares.
const (
	kernelPath = "/keel/keel.elf"
	seedPath   = "/keel/seed.tar"
	menuPath   = "/keel/menu.cfg"
)

// modules are GRUB's, and what they depend on comes along. All of part_* are
// there because grub-mkrescue's UEFI loader complains of each that is missing.
const modules = "normal multiboot2 serial terminal test configfile minicmd halt reboot all_video iso9660 fat " +
	"part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan part_sun part_sunpc"

// Options say what a medium holds.
type Options struct {
	Kernel string // path of the kernel image
	Seed   string // path of a seed; "" for none
	Args   string // words to add to the kernel's command line
	Quick  bool   // boot at once, without showing the menu
}

// argsSyntax is what GRUB takes for words without interpreting them.
var argsSyntax = regexp.MustCompile(`^[A-Za-z0-9=.,_:/ +-]*$`)

// Build writes a medium to the file out. It needs grub-mkrescue, xorriso and
// mtools, and takes a fraction of a second.
func Build(ctx context.Context, out string, o Options) error {
	if !argsSyntax.MatchString(o.Args) {
		return fmt.Errorf("iso: kernel arguments %q: only letters, digits, spaces and =.,_:/+- are allowed", o.Args)
	}
	tmp, err := os.MkdirTemp("", "keel-iso-")
	if err != nil {
		return fmt.Errorf("iso: %w", err)
	}
	defer os.RemoveAll(tmp)

	var files []string // as xorriso's grafts, target=source
	add := func(target, source string) error {
		if _, err := os.Stat(source); err != nil {
			return fmt.Errorf("iso: %w", err)
		}
		files = append(files, target+"="+graftEscape.Replace(source))
		return nil
	}
	write := func(target, name string, data []byte) error {
		source := filepath.Join(tmp, name)
		if err := os.WriteFile(source, data, 0o644); err != nil {
			return fmt.Errorf("iso: %w", err)
		}
		return add(target, source)
	}

	err = errors.Join(
		write("/boot/grub/grub.cfg", "grub.cfg", grubConfig),
		write(menuPath, "menu.cfg", menu(o)),
		add(kernelPath, o.Kernel),
	)
	if o.Seed != "" {
		err = errors.Join(err, add(seedPath, o.Seed))
	}
	if err != nil {
		return err
	}
	return mkrescue(ctx, out, modules, files)
}

// BuildLinux writes a medium that boots a Linux kernel at once: for comparisons with Keel.
func BuildLinux(ctx context.Context, out, kernel, initrd, cmdline string) error {
	dir, err := os.MkdirTemp("", "keel-iso-")
	if err != nil {
		return fmt.Errorf("iso: %w", err)
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "grub.cfg")
	text := "linux /vmlinuz " + cmdline + "\ninitrd /initrd\nboot\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return fmt.Errorf("iso: %w", err)
	}
	return mkrescue(ctx, out, modules+" linux", []string{
		"/boot/grub/grub.cfg=" + graftEscape.Replace(config),
		"/vmlinuz=" + graftEscape.Replace(kernel),
		"/initrd=" + graftEscape.Replace(initrd),
	})
}

var graftEscape = strings.NewReplacer(`\`, `\\`, `=`, `\=`)

// menu returns what grub.cfg sources.
func menu(o Options) []byte {
	var b strings.Builder
	if o.Quick {
		b.WriteString("set timeout=0\nset keel_quick=yes\n")
	}
	if o.Args != "" {
		fmt.Fprintf(&b, "set keel_args=%q\n", o.Args)
	}
	return []byte(b.String())
}

// platforms must be installed for a medium that boots under both firmwares;
// grub-mkrescue leaves out silently what it doesn't find.
var platforms = []struct{ dir, pkg string }{
	{"/usr/lib/grub/i386-pc", "grub-pc-bin"},
	{"/usr/lib/grub/x86_64-efi", "grub-efi-amd64-bin"},
}

func mkrescue(ctx context.Context, out, modules string, files []string) error {
	for _, p := range platforms {
		if _, err := os.Stat(p.dir); err != nil {
			return fmt.Errorf("iso: %s is missing: install Debian's %s (make setup)", p.dir, p.pkg)
		}
	}
	args := append([]string{"-o", out, "--install-modules=" + modules, "--fonts=", "--themes=", "--locales="}, files...)
	cmd := exec.CommandContext(ctx, "grub-mkrescue", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("iso: %w: install Debian's grub-common, xorriso and mtools (make setup)", err)
		}
		return fmt.Errorf("iso: grub-mkrescue: %w\n%s", err, text)
	}
	return nil
}
