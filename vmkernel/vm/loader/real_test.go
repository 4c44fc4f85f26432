package loader

import (
	"bytes"
	"os"
	"testing"
)

// TestDebianKernelIsLoaded tries a real bzImage: $KEEL_TEST_BZIMAGE, or what
// the end-to-end tests unpack under build/.
func TestDebianKernelIsLoaded(t *testing.T) {
	name := os.Getenv("KEEL_TEST_BZIMAGE")
	if name == "" {
		name = "../../../build/guest/vmlinuz"
	}
	kernel, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		t.Skipf("no kernel at %s: set KEEL_TEST_BZIMAGE", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseSetupHeader(kernel)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("pref_address %#x, init_size %#x, kernel_alignment %#x, initrd_addr_max %#x, cmdline_size %d, above 4 GiB %v",
		h.prefAddress, h.initSize, h.alignment, h.initrdMax-1, h.cmdlineSize, h.above4G)
	for _, size := range []uint64{128 * mib, 256 * mib, 4 * gib, 5 * gib} {
		m := ram(t, size)
		e := mustLoad(t, m, Image{Kernel: kernel, Initrd: pattern(2*mib, 1), Cmdline: "console=ttyS0"})
		if e.RIP != h.prefAddress+0x200 || e.Mode != Long64 {
			t.Errorf("%d MiB: entry %#x in %v", size/mib, e.RIP, e.Mode)
		}
		if !bytes.Equal(bytesAt(t, m, h.prefAddress, uint64(len(h.payload))), h.payload) {
			t.Errorf("%d MiB: the kernel's bytes differ", size/mib)
		}
		initrd, _ := m.Read32(e.RSI + 0x218)
		if uint64(initrd)+2*mib != min(size, 2*gib) {
			t.Errorf("%d MiB: initrd at %#x", size/mib, initrd)
		}
	}
	wantError(t, 16*mib, Image{Kernel: kernel}, "usable RAM")
	wantError(t, 256*mib, Image{Kernel: kernel[:len(kernel)/2]}, "truncated")
}
