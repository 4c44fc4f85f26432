package acpitable

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReferenceCompilerAgrees has Intel's iasl (Debian: acpica-tools) take the
// tables apart, and compile what it made of the DSDT.
func TestReferenceCompilerAgrees(t *testing.T) {
	iasl, err := exec.LookPath("iasl")
	if err != nil {
		t.Skip("iasl is not installed: apt-get install acpica-tools")
	}
	dir := t.TempDir()
	run := func(arg ...string) string {
		t.Helper()
		cmd := exec.Command(iasl, arg...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("iasl %s: %v\n%s", strings.Join(arg, " "), err, out)
		}
		return string(out)
	}
	for name, b := range tables(t, built(t, 3)) {
		if err := os.WriteFile(filepath.Join(dir, name+".dat"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		out := run("-d", name+".dat")
		dsl, err := os.ReadFile(filepath.Join(dir, name+".dsl"))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if bad := regexp.MustCompile(`(?i).*(invalid|incorrect|unknown|error|warning|\*\*\*\*).*`).FindString(out + string(dsl)); bad != "" {
			t.Errorf("%s: %s", name, bad)
		}
		if name != "DSDT" {
			continue
		}
		if out := run("-oa", "DSDT.dsl"); !strings.Contains(out, "0 Errors, 0 Warnings") {
			t.Errorf("compiling the DSDT again:\n%s", out)
		}
		for _, want := range []string{
			`Name (\_S5, Package (0x04)`,
			`Device (COM1)`, `EisaId ("PNP0501")`, `0x03F8`, `IRQNoFlags ()`, `{4}`,
			`Device (COM4)`, `0x02E8`, `EisaId ("PNP0B00")`, `{8}`, `EisaId ("PNP0303")`, `0x0064`,
		} {
			if !strings.Contains(string(dsl), want) {
				t.Errorf("the DSDT lacks %s:\n%s", want, dsl)
			}
		}
		if again, err := os.ReadFile(filepath.Join(dir, "DSDT.aml")); err != nil || len(again) != len(b) || string(again[36:]) != string(b[36:]) {
			t.Errorf("compiled again, the DSDT differs: %v", err)
		}
	}
}
