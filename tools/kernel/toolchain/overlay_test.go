package toolchain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeRuntime makes a package runtime of the given files, and says what overlay makes of it.
func writeRuntime(t *testing.T, files map[string]string) (replaced map[string]string, err error) {
	t.Helper()
	src, dir := t.TempDir(), t.TempDir()
	for _, name := range runtimeSources {
		if err := os.WriteFile(filepath.Join(src, name), []byte("package runtime\n"+files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flag, err := overlay(dir, src, root)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(strings.TrimPrefix(flag, "-overlay="))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	replaced = map[string]string{}
	for path, by := range list.Replace {
		text, err := os.ReadFile(by)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(src, path)
		if err != nil {
			t.Fatal(err)
		}
		replaced[name] = string(text)
	}
	return replaced, nil
}

func TestTheRuntimesFunctionsAreReplaced(t *testing.T) {
	ours := read(t, runtimeFile)
	files := map[string]string{"proc.go": "const haveSysmon = GOOS != \"tamago\"\nfunc schedule() { usleep(1) }\n"}
	const others = "const preemptMSupported = false\n"
	files["os_tamago.go"] = others
	for _, name := range strings.Fields(`hwinit0 osinit newosproc minit unminit exitThread walltime usleep osyield osyield_no_g sysUnusedOS
		needZeroAfterSysUnusedOS syscall write1 sigblock preemptM semasleep semawakeup beforeIdle netpollBreak netpoll`) {
		if !strings.Contains(ours, "func "+name+"(") {
			t.Fatalf("%s has no %s", runtimeFile, name)
		}
		files["os_tamago.go"] += "func " + name + "() { osyield() }\n"
	}
	got, err := writeRuntime(t, files)
	if err != nil {
		t.Fatal(err)
	}
	if got["keel_tamago.go"] != ours {
		t.Errorf("package runtime gets %q", got["keel_tamago.go"])
	}
	if want := "package runtime\nconst replaced_haveSysmon = GOOS != \"tamago\"\nfunc schedule() { usleep(1) }\n"; got["proc.go"] != want {
		t.Errorf("proc.go is %q, want %q", got["proc.go"], want)
	}
	if n := strings.Count(got["os_tamago.go"], "func replaced_"); n != 21 || !strings.Contains(got["os_tamago.go"], "func replaced_usleep() { osyield() }\n") {
		t.Errorf("os_tamago.go, with %d functions replaced, is %q", n, got["os_tamago.go"])
	}
	if got["mem_sbrk.go"] != "package runtime\n" {
		t.Errorf("mem_sbrk.go is %q", got["mem_sbrk.go"])
	}
}

func TestARuntimeWithoutThemIsRefused(t *testing.T) {
	_, err := writeRuntime(t, nil)
	if err == nil || !strings.Contains(err.Error(), "haveSysmon") || !strings.Contains(err.Error(), "semasleep") || strings.Contains(err.Error(), added) {
		t.Errorf("%v", err)
	}
}
