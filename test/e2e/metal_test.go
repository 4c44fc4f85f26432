package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keel/test/guest/hostile"
	"keel/vmkernel/seed"
)

// TestKernelsBootAndEndByEveryWay boots each format of kernel and ends guests in each way that a
// guest has.
func TestKernelsBootAndEndByEveryWay(t *testing.T) {
	t.Parallel()
	for _, e := range []emulator{qemu, haswell, skylake} {
		t.Run(string(e), func(t *testing.T) {
			elf, pvh := metal("multiboot-elf", "h"), metal("pvh", "h")
			elf.Boot.Direct.Kernel, pvh.Boot.Direct.Kernel = fileMBELF, filePVH
			vms := []seed.VM{
				metal("multiboot", "h"), elf, pvh,
				metal("exit", "x"), metal("triple", "3"), metal("keyboard", "k"), metal("acpi", "c"),
			}
			r := host{emulator: e, limit: 3 * time.Minute}.boot(t, pack(t, vms, files(t, fileMB, fileMBELF, filePVH)))
			r.end()
			r.wantReasons(map[string]string{
				"multiboot":     exitCode(hostile.ExitHello),
				"multiboot-elf": exitCode(hostile.ExitHello),
				"pvh":           exitCode(hostile.ExitHello),
				"exit":          exitCode(hostile.ExitSurvived),
				"triple":        "reboot (triple fault)",
				"keyboard":      "reboot (keyboard controller)",
				"acpi":          "reboot (acpi reset)",
			})
			r.wantNoErrors()
			for vm, want := range map[string]string{"multiboot": "hello multibt", "multiboot-elf": "hello multibt", "pvh": "hello pvh"} {
				if lines := r.guestLines(vm); !slices.Equal(lines, []string{want}) {
					t.Errorf("%s said %q, want %q", vm, lines, want)
				}
			}
		})
	}
}

// TestAGuestFindsNothingThatAnotherLeft has a guest that fills its memory and is restarted with fresh memory, which the one before
// has had: zeroed while the host was idle, and, beside a guest that never lets it be, when it was given.
func TestAGuestFindsNothingThatAnotherLeft(t *testing.T) {
	t.Parallel()
	const times = 4
	for _, busy := range []bool{false, true} {
		t.Run(map[bool]string{false: "idle", true: "busy"}[busy], func(t *testing.T) {
			again := metal("again", "fc")
			again.Memory.Size, again.OnReboot = hostile.FreshEnd, seed.Restart
			vms := []seed.VM{again}
			if busy {
				vms = append(vms, metal("busy", "l"))
			}
			r := host{emulator: qemu, cpus: 1, memMiB: 256, limit: 4 * time.Minute}.boot(t, pack(t, vms, files(t, fileMB)))
			const reboot = "reboot (acpi reset)"
			for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
				stopped := r.byVM(stoppedLine)["again"]
				if i := slices.IndexFunc(stopped, func(why string) bool { return why != reboot }); i >= 0 {
					t.Fatalf("start %d: it stopped for %s:\n%s", i+1, stopped[i], strings.Join(r.guestLines("again"), "\n"))
				}
				if len(stopped) >= times {
					break
				}
				if time.Since(begin) > 3*time.Minute {
					t.Fatalf("it ended %d times:\n%s", len(stopped), r.Tail(20))
				}
			}
			r.wantNoErrors()
			r.Stop()
		})
	}
}

// hostileGuests do each thing that a guest should not, and how each must end.
var hostileGuests = []struct{ name, letters, reason string }{
	{"memory", "mx", exitCode(hostile.ExitSurvived)},
	{"ports", "px", exitCode(hostile.ExitSurvived)},
	{"strings", "ox", exitCode(hostile.ExitSurvived)},
	{"msrs", "rx", exitCode(hostile.ExitSurvived)},
	{"virt", "vx", exitCode(hostile.ExitSurvived)},
	{"control", "Vx", exitCode(hostile.ExitSurvived)},
	{"selfmodify", "sx", exitCode(hostile.ExitSurvived)},
	{"apic", "ax", exitCode(hostile.ExitSurvived)},
	{"storm", "ix", exitCode(hostile.ExitSurvived)},
	{"hurricane", "Ix", exitCode(hostile.ExitSurvived)},
	{"pit", "tx", exitCode(hostile.ExitSurvived)},
	{"timers", "TDx", exitCode(hostile.ExitSurvived)},
	{"processors", "nx", exitCode(hostile.ExitSurvived)},
	{"forge", "wx", exitCode(hostile.ExitSurvived)},
	{"undecodable", "dx", "crash: ..."},
	{"idt", "bx", "crash: the delivery of vector 3 accessed 0xfee00030, where there is no RAM, with the guest at..."},
	{"stack", "Bx", "crash: the delivery of vector 128 accessed 0xfec007f8, where there is no RAM, with the guest at..."},
	{"jump", "jx", "crash: ..."},
	{"triple", "mrv3", "reboot (triple fault)"},
}

// TestHostileGuestsHarmNobody runs them beside an honest guest, which must not notice.
func TestHostileGuestsHarmNobody(t *testing.T) {
	t.Parallel()
	for _, h := range []host{
		{emulator: qemu, limit: 20 * time.Minute},
		{emulator: haswell, limit: 20 * time.Minute}, // beside three other emulators on two processors, 13
	} {
		t.Run(string(h.emulator), func(t *testing.T) {
			honest := linux("honest", 1, 128*mib, "workload.only=clock,fpu,memory")
			want := map[string]string{"honest": "power-off"}
			vms := []seed.VM{honest}
			for _, g := range hostileGuests {
				letters := g.letters
				if h.emulator != qemu {
					letters = strings.Replace(letters, "p", "q", 1) // a tenth of the ports' exits
				}
				guest := metal(g.name, letters)
				if strings.Contains(letters, "n") {
					guest.CPU.Count = 8
				}
				vms = append(vms, guest)
				want[g.name] = g.reason
			}
			r := h.boot(t, pack(t, vms, files(t, fileMB, fileLinux, fileInitrd)))
			r.end()
			r.wantReasons(want)
			r.wantWorkload("honest", 1)
			for _, l := range r.Lines() {
				if strings.HasPrefix(l, `level=ERROR msg="forged"`) || strings.HasPrefix(l, `level=ERROR msg=forged`) {
					t.Errorf("a guest forged a line: %q", l)
				}
				if i := strings.IndexFunc(l, func(c rune) bool { return c < ' ' || c >= 0x7F && c < 0xA0 || c == 0xFFFD }); i >= 0 {
					t.Errorf("control bytes in a line: %q", l)
				}
				if strings.Contains(l, "| hostile ") {
					t.Log(l)
				}
			}
			if forged := regexp.MustCompile(`(?m)^forge\| .*forged`); !forged.MatchString(strings.Join(r.Lines(), "\n")) {
				t.Error("what the guest printed to forge a line is not there under its name")
			}
		})
	}
}
