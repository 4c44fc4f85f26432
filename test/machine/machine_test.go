package machine

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keel/boot/iso"
)

const limit = time.Minute

// testKernel builds tools/mkimage's test kernel: it writes "OK" and the tags
// that it was given, and switches the machine off.
func testKernel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	raw, img := filepath.Join(dir, "kernel.raw"), filepath.Join(dir, "kernel.elf")
	root := Root(t)
	for _, c := range []*exec.Cmd{
		exec.Command("go", "build", "-C", "tools/mkimage/testdata/kernel", "-trimpath",
			"-ldflags=-E keel/boot.entry32 -T 0x1001000", "-o", raw, "."),
		exec.Command("go", "run", "./tools/mkimage", "-o", img, raw),
	} {
		c.Dir = root
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c.Args, err, text)
		}
	}
	return img
}

// medium makes an ISO of the test kernel, with a seed and arguments.
func medium(t *testing.T, kernel string) string {
	t.Helper()
	for _, tool := range []string{"grub-mkrescue", "xorriso", "mformat"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv(RequireEnv) == "" {
			t.Skipf("%s is not installed (make setup installs it)", tool)
		}
	}
	dir := t.TempDir()
	seed, out := filepath.Join(dir, "seed"), filepath.Join(dir, "medium.iso")
	if err := os.WriteFile(seed, []byte("seed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := iso.Build(t.Context(), out, iso.Options{Kernel: kernel, Seed: seed, Quick: true}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestImageBoots shows that what mkimage and iso make is entered by every boot
// loader that Keel supports, and told what Keel needs.
func TestImageBoots(t *testing.T) {
	kernel := testKernel(t)
	cd := medium(t, kernel)
	// Tags of the boot information, multiboot2 specification 3.6, as letters.
	const cmdline, module, memory, framebuffer, acpi1, acpi2, efiMap = "B", "D", "G", "I", "O", "P", "R"
	for _, c := range []struct {
		name    string
		machine Machine
		tags    []string
	}{
		{"PVH", QEMU{Kernel: kernel}, nil},
		{"PVH on i440fx", QEMU{Kernel: kernel, Machine: "pc", CPUs: 2, MemMiB: 5120}, nil},
		{"BIOS from CD", QEMU{ISO: cd, Firmware: BIOS}, []string{cmdline, module, memory, framebuffer, acpi1}},
		{"BIOS from stick", QEMU{ISO: cd, Firmware: BIOS, Stick: true}, []string{cmdline, module, memory, framebuffer, acpi1}},
		{"UEFI from CD", QEMU{ISO: cd, Firmware: UEFI}, []string{cmdline, module, memory, framebuffer, acpi2, efiMap}},
		{"UEFI from stick", QEMU{ISO: cd, Firmware: UEFI, Stick: true}, []string{cmdline, module, memory, framebuffer, acpi2, efiMap}},
		{"Bochs", Bochs{ISO: cd}, []string{cmdline, module, memory, framebuffer, acpi1}},
		{"Bochs, Skylake, two processors", Bochs{ISO: cd, CPU: SkylakeX, CPUs: 2, MemMiB: 256}, []string{cmdline, module, memory}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Boot(t, c.machine, limit)
			match, err := p.WaitFor(t.Context(), regexp.MustCompile(`OK([B-Z]*)A?$`))
			if err != nil {
				t.Fatal(err)
			}
			if c.tags == nil && match[1] != "" {
				t.Errorf("entered by multiboot2 with tags %s, want PVH", match[1])
			}
			for _, tag := range c.tags {
				if !strings.Contains(match[1], tag) {
					t.Errorf("tags %s, want %s among them", match[1], tag)
				}
			}
			if err := p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFollowCopiesTheSerialPort(t *testing.T) {
	p := Boot(t, QEMU{Kernel: testKernel(t)}, limit)
	var b bytes.Buffer
	if err := p.Follow(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != "OK\n" {
		t.Errorf("followed %q, want %q", b.String(), "OK\n")
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFailuresSayWhatHappened(t *testing.T) {
	kernel := testKernel(t)
	never := regexp.MustCompile("never")
	t.Run("line doesn't come", func(t *testing.T) {
		p := Boot(t, QEMU{Kernel: kernel}, limit)
		_, err := p.WaitFor(t.Context(), never)
		wantError(t, err, "the machine has ended", "serial.log\nOK\n")
	})
	t.Run("line that means failure", func(t *testing.T) {
		p := Boot(t, QEMU{Kernel: kernel}, limit)
		p.FailOn(regexp.MustCompile("^OK"))
		_, err := p.WaitFor(t.Context(), never)
		wantError(t, err, `the machine said "OK"`)
	})
	// -S: the processors don't start.
	t.Run("limit", func(t *testing.T) {
		p := Boot(t, QEMU{Kernel: kernel, Extra: []string{"-S"}}, time.Second)
		wantError(t, p.Wait(t.Context()), "still running after its limit of 1s")
	})
	t.Run("context", func(t *testing.T) {
		p := Boot(t, QEMU{Kernel: kernel, Extra: []string{"-S"}}, limit)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := p.WaitFor(ctx, never)
		wantError(t, err, "deadline exceeded")
		p.Stop()
		if err := p.Wait(t.Context()); err != nil {
			t.Errorf("after Stop: %v", err)
		}
	})
	t.Run("emulator refuses", func(t *testing.T) {
		p := Boot(t, QEMU{Kernel: kernel, CPU: "nonsense"}, limit)
		wantError(t, p.Wait(t.Context()), "exit status 1", "nonsense")
	})
	t.Run("Bochs stops", func(t *testing.T) {
		p := Boot(t, Bochs{ISO: medium(t, kernel), Debug: []string{"s 1"}}, limit)
		wantError(t, p.Wait(t.Context()), "ended")
	})
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want one that says %q", err, w)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		machine    Machine
	}{
		{"nothing to boot", "PVH boots a Kernel", QEMU{}},
		{"kernel and ISO", "and no ISO", QEMU{Kernel: file, ISO: file}},
		{"BIOS without ISO", "bios boots an ISO", QEMU{Firmware: BIOS, Kernel: file}},
		{"UEFI with seed", "are on it", QEMU{Firmware: UEFI, ISO: file, Seed: file}},
		{"missing kernel", "no such file", QEMU{Kernel: filepath.Join(dir, "none")}},
		{"Bochs without ISO", "boots an ISO", Bochs{}},
		{"Bochs, missing ISO", "no such file", Bochs{ISO: filepath.Join(dir, "none")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.machine.Program()); err != nil {
				t.Skip(err)
			}
			_, err := Start(c.machine, filepath.Join(dir, "machine"), limit)
			wantError(t, err, c.want)
		})
	}
}

func TestProbeTellsVirtualisationApart(t *testing.T) {
	if _, err := exec.LookPath(QEMU{}.Program()); err != nil {
		t.Skip(err)
	}
	if got, err := probe("tcg", EmulatedCPU); got != "amd-v" {
		t.Errorf("with AMD-V: %q, %v", got, err)
	}
	if got, err := probe("tcg", "EPYC-v3,-svm"); got != "" || err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("without: %q, %v", got, err)
	}
	if got, err := probe("nonsense", EmulatedCPU); got != "" || err == nil {
		t.Errorf("without an accelerator: %q, %v", got, err)
	}
	virt, err := KVMWorks()
	if (virt == "") != (err != nil) {
		t.Errorf("KVMWorks: %q, %v: want one of the two", virt, err)
	}
	t.Logf("KVM on this host: %q, %v", virt, err)
}
