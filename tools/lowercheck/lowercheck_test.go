package main

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keel/tools/kernel/toolchain"
	"keel/tools/lowercheck/image"
)

// TestBuiltImageKeepsTheRules builds the kernel, by the toolchain that the environment names, and checks it.
func TestBuiltImageKeepsTheRules(t *testing.T) {
	kernels, err := toolchain.FromEnvironment(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	readSources(t)
	raw := filepath.Join(t.TempDir(), "keel.raw")
	if err := kernels.Build(t.Context(), "./cmd/keel", raw); err != nil {
		t.Fatal(err)
	}
	im, err := image.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	c := newChecker(im)
	lower, fast, upper := c.lowerHalf(), c.fast(), c.upperHalf()
	for _, b := range c.broken {
		t.Error(b)
	}
	// So that a check that reaches nothing doesn't pass.
	if lower < 300 || fast < 50 || upper < 1000 {
		t.Errorf("reached %d, %d and %d functions: too few", lower, fast, upper)
	}
}

// readSources reads what the kernel is built from, for go test to know that a result that it has
// kept depends on it.
func readSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"arch", "boot", "cmd/keel", "goos", "vmkernel"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && (ext == ".go" || ext == ".s") {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// call returns CALL from an address to another.
func call(from, to uint64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xE8}, uint32(to-from-5))
}

// TestBrokenRulesAreFound makes an image of each thing that must not be.
func TestBrokenRulesAreFound(t *testing.T) {
	defer func(e, f, m, b []string) { entries, fastPath, fastMore, fastBodies = e, f, m, b }(entries, fastPath, fastMore, fastBodies)
	entries, fastPath, fastMore, fastBodies = []string{"keel/vmkernel/core.root"}, []string{"keel/vmkernel/core.root"}, nil, nil
	const root, other, upper = 0x1000, 0x2000, 0x3000
	for _, c := range []struct {
		name  string
		code  []byte // of root
		other string // name of what is at other
		upper []byte // of an upper half's function
		want  string
	}{
		{"nothing", []byte{0xC3}, "x.y", []byte{0xC3}, ""},
		{"allocation", call(root, other), "runtime.newobject", nil, "no part of the lower half"},
		{"barrier", call(root, other), "runtime.gcWriteBarrier1", nil, "no part of the lower half"},
		{"upper half", call(root, other), "keel/vmkernel/vm.f", nil, "no part of the lower half"},
		{"own", call(root, other), "keel/vmkernel/device/lapic.f", nil, ""},
		{"bounds", call(root, other), "runtime.panicIndex", nil, ""},
		{"fast memmove", call(root, other), "runtime.memmove", nil, "fast exits"},
		{"call by register", []byte{0xFF, 0xD0}, "x.y", nil, "can't be seen"},
		{"call by memory", []byte{0xFF, 0x10}, "x.y", nil, "can't be seen"},
		{"switch", []byte{0xFF, 0xE0}, "x.y", nil, ""},
		{"call to nowhere", call(root, 0x9000), "x.y", nil, "no function"},
		{"vector", []byte{0x0F, 0x10, 0x00}, "x.y", nil, "vector register"},         // MOVUPS X0
		{"x87", []byte{0xD9, 0xEB}, "x.y", nil, "vector register"},                  // FLDPI
		{"moves of X15", []byte{0x44, 0x0F, 0x11, 0x38}, "x.y", nil, ""},            // MOVUPS X15, (RAX)
		{"arithmetic on X15", []byte{0x45, 0x0F, 0x58, 0xFF}, "x.y", nil, "vector"}, // ADDPS
		{"AVX", []byte{0xC5, 0xFC, 0x77}, "x.y", nil, "vector register"},            // VZEROUPPER — XMM15 too
		{"garbage", []byte{0x06}, "x.y", nil, "can't be decoded"},
		{"privileged below", []byte{0x0F, 0x30}, "x.y", nil, ""},
		{"WRMSR above", nil, "x.y", []byte{0x0F, 0x30}, "privileged"},
		{"HLT above", nil, "x.y", []byte{0xF4}, "privileged"},
		{"IN above", nil, "x.y", []byte{0xEC}, "privileged"},
		{"CLI above", nil, "x.y", []byte{0xFA}, "privileged"},
		{"MOV CR3 above", nil, "x.y", []byte{0x0F, 0x22, 0xD8}, "privileged"},
		{"MOV DR7 above", nil, "x.y", []byte{0x0F, 0x21, 0xF8}, "privileged"},
		{"LGDT above", nil, "x.y", []byte{0x0F, 0x01, 0x10}, "privileged"},
		{"VMREAD above", nil, "x.y", []byte{0x0F, 0x78, 0xD0}, "privileged"},
		{"VMRUN above", nil, "x.y", []byte{0x0F, 0x01, 0xD8}, "privileged"},
		{"SYSCALL above", nil, "x.y", []byte{0x0F, 0x05}, ""},
		{"CPUID above", nil, "x.y", []byte{0x0F, 0xA2}, ""},
		{"call of core above", nil, "x.y", call(upper, root), "only vmkernel/sys"},
		{"call of a model above", nil, "keel/vmkernel/device/lapic.f", call(upper, other), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ck := newChecker(image.New([]*image.Func{
				{Name: "keel/vmkernel/core.root", Package: "keel/vmkernel/core", Addr: root, Code: append(c.code, 0xC3)},
				{Name: c.other, Package: image.PackageOf(c.other), Addr: other, Code: []byte{0xC3}},
				{Name: "keel/vmkernel/vm.g", Package: "keel/vmkernel/vm", Addr: upper, Code: append(c.upper, 0xC3)},
			}))
			ck.lowerHalf()
			ck.fast()
			ck.upperHalf()
			all := strings.Join(ck.broken, "\n")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("found %q, want %q", all, c.want)
			}
		})
	}
}

// A mark's bytes are data only behind the jump that leads over them, and only in a mark.
func TestMarksAreJumpedOver(t *testing.T) {
	over, plain := []byte{0xEB, 0x01, 0xF4, 0xC3}, []byte{0xF4, 0xC3}
	for _, c := range []struct {
		name string
		code []byte
		want bool
	}{
		{"crypto/internal/boring/sig.StandardCrypto.abi0", over, true},
		{"crypto/internal/boring/sig.StandardCrypto.abi0", plain, false},
		{"crypto/internal/boring/sig.StandardCrypto.abi0", []byte{0xEB, 0x01, 0xC3, 0xF4, 0xC3}, false},
		{"crypto/internal/boring/sig.Other.abi0", over, false},
	} {
		ck := newChecker(image.New([]*image.Func{{Name: c.name, Package: image.PackageOf(c.name), Addr: 0x1000, Code: c.code}}))
		ck.upperHalf()
		if ok := len(ck.broken) == 0; ok != c.want {
			t.Errorf("%s % x: %q", c.name, c.code, ck.broken)
		}
	}
}

func TestLengthsOfWhatX86asmLacks(t *testing.T) {
	for _, c := range []struct {
		code []byte
		op   string
	}{
		{[]byte{0x0F, 0x78, 0xD0}, "VMREAD"},
		{[]byte{0x44, 0x0F, 0x79, 0x44, 0x24, 0x08}, "VMWRITE"},
		{[]byte{0xF3, 0x48, 0x0F, 0xAE, 0xD0}, "WRFSBASE"},
		{[]byte{0x48, 0x0F, 0xAE, 0xA3, 0, 2, 0, 0}, "XSAVE"},
		{[]byte{0x66, 0x0F, 0x38, 0x80, 0x08}, "INVEPT"},
		{[]byte{0x0F, 0xC7, 0x34, 0x24}, "VMPTRLD"},
		{[]byte{0xC5, 0xFE, 0x6F, 0x44, 0x24, 0x10}, "VEX"},
		{[]byte{0xC4, 0xE3, 0x7D, 0x39, 0xC1, 0x01}, "VEX"},
		{[]byte{0x62, 0xF1, 0x7E, 0x48, 0x6F, 0x06}, "VEX"},
	} {
		i, err := decode(append(c.code, 0xC3, 0xC3, 0xC3), 0)
		if err != nil || i.op != c.op || int(i.size) != len(c.code) {
			t.Errorf("% x: %s of %d bytes, %v; want %s", c.code, i.op, i.size, err, c.op)
		}
	}
}

func TestPackageOf(t *testing.T) {
	for symbol, want := range map[string]string{
		"keel/vmkernel/core.(*cpu).call":                   "keel/vmkernel/core",
		"keel/vmkernel/core.at[go.shape.struct { a/b.C }]": "keel/vmkernel/core",
		"main.main":                       "main",
		"runtime.memmove":                 "runtime",
		"gvisor.dev/gvisor/pkg/a%2eb.F":   "gvisor.dev/gvisor/pkg/a.b",
		"type:.eq.keel/vmkernel/sys.Info": "",
	} {
		if got := image.PackageOf(symbol); got != want {
			t.Errorf("%s: package %q, want %q", symbol, got, want)
		}
	}
}
