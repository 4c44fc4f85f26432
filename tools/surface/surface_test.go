package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// ports are all that a guest reaches, each looked at once: does it carry a guest's bytes to the host?
// A new device belongs here once somebody has.
var ports = map[string]bool{
	"8259 master": false, "8259 slave": false, "ELCR": false, "8254": false, "port B": false, "POST": false,
	"PM timer": false, "i8042 data": false, "i8042 command": false, "RTC": false, "PCI configuration": false,
	"ACPI PM1": false,
	"ttyS0":    true, "ttyS1": true, "ttyS2": true, "ttyS3": true,
	"debug.exitPort": true,
}

// TestOnlySerialPortsAndExitPortCarryBytesOut walks all that a guest can reach. What the balloon says stays in the host:
// numbers of pages, and figures of the guest's memory.
func TestOnlySerialPortsAndExitPortCarryBytesOut(t *testing.T) {
	r, err := reach(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range r.ports {
		seen[p.Name] = true
		out, known := ports[p.Name]
		if !known {
			t.Errorf("ports %#x..%#x reach %q, which is not among the devices that this test knows", p.First, p.First+p.Size-1, p.Name)
		}
		if out != (leaves(p.Name) != "") {
			t.Errorf("%s: what leaves the guest is said to be %q", p.Name, leaves(p.Name))
		}
	}
	for name := range ports {
		if !seen[name] {
			t.Errorf("%s is not reached any more: take it out of this test", name)
		}
	}
	for _, m := range r.mmio {
		if m.Name != "IOAPIC" && m.Name != "local APIC" && m.Name != "balloon" {
			t.Errorf("%#x..%#x reach %q, which is not among the devices that this test knows", m.First, m.First+m.Size-1, m.Name)
		}
	}
}

// TestMSRsAreFoundInTheSource looks for some that must be there, with how they are reached.
func TestMSRsAreFoundInTheSource(t *testing.T) {
	list, err := msrs(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Errorf("%d MSRs, want at least 20", len(list))
	}
	byNumber := map[uint64]msr{}
	for _, m := range list {
		byNumber[m.first] = m
	}
	for number, how := range map[uint64][2]string{
		0x174:      {"its own", "its own"},
		0xC0000102: {"its own", "its own"},
		0xC0000080: {"read directly", "answered by the lower half"},
		0x1B:       {"answered by the lower half", "answered by the lower half"},
		0x800:      {"answered by the lower half", "answered by the lower half"},
	} {
		m, found := byNumber[number]
		if !found {
			t.Errorf("MSR %#x is missing", number)
			continue
		}
		for vendor, want := range how {
			if got := m.access(vendor); !strings.HasPrefix(got, want) {
				t.Errorf("MSR %#x, vendor %d: %q, want %q", number, vendor, got, want)
			}
		}
	}
	for _, m := range list {
		// IA32_FEATURE_CONTROL, VMX's capabilities, VM_CR and VM_HSAVE_PA are a host's.
		if m.first == 0x3A || m.first >= 0x480 && m.first < 0x4A0 || m.first == 0xC0010114 || m.first == 0xC0010117 {
			t.Errorf("a guest reaches MSR %#x (%s)", m.first, m.name)
		}
	}
}

func TestPrintNamesEveryKind(t *testing.T) {
	r, err := reach(root)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r.print(&b)
	for _, want := range []string{"03f8..03ff ttyS0", "fee00000..fee00fff local APIC", "c0000081 STAR", "80000001", "SYSCALL", "Hypercalls"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not printed", want)
		}
	}
}

func TestCountLinesSkipsBlanksAndComments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.go")
	text := "// Package x\npackage x\n\n/*\nlong\n*/\n/* short */ var a int // counted\n\tfunc f() {}\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := countLines(path); n != 3 || err != nil {
		t.Errorf("%d lines, %v; want 3", n, err)
	}
}
