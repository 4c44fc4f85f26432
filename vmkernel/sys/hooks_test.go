package sys

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"keel/vmkernel/linux"
)

// TestHooksCallByTheSameNumbers compares the numbers in the hooks of TamaGo's runtime, which can import neither this
// package nor linux, with theirs.
func TestHooksCallByTheSameNumbers(t *testing.T) {
	text, err := os.ReadFile("../../goos/hooks_tamago_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{
		"SYS_write": linux.SYS_WRITE, "SYS_mmap": linux.SYS_MMAP, "SYS_rt_sigaction": linux.SYS_RT_SIGACTION,
		"SYS_rt_sigreturn": linux.SYS_RT_SIGRETURN, "SYS_clone": linux.SYS_CLONE, "SYS_exit": linux.SYS_EXIT,
		"SYS_sigaltstack": linux.SYS_SIGALTSTACK, "SYS_arch_prctl": linux.SYS_ARCH_PRCTL, "SYS_gettid": linux.SYS_GETTID,
		"SYS_exit_group": linux.SYS_EXIT_GROUP, "SYS_getrandom": 318, "SYS_sched_yield": linux.SYS_SCHED_YIELD,
		"SYS_rt_sigprocmask": linux.SYS_RT_SIGPROCMASK,
		"SYS_tgkill":         linux.SYS_TGKILL,
		"SYS_madvise":        linux.SYS_MADVISE, "SYS_nanosleep": linux.SYS_NANOSLEEP, "SYS_futex": linux.SYS_FUTEX,
		"SYS_sched_getaffinity": linux.SYS_SCHED_GETAFFINITY,
	}
	found := regexp.MustCompile(`(?m)^#define (SYS_\w+)\s+(\w+)`).FindAllStringSubmatch(string(text), -1)
	for _, m := range found {
		n, err := strconv.ParseUint(m[2], 0, 64)
		if w, known := want[m[1]]; err != nil || !known || n != w {
			t.Errorf("goos has %s %s, want %#x", m[1], m[2], w)
		}
	}
	if len(found) != len(want) {
		t.Errorf("goos has %d numbers, want %d", len(found), len(want))
	}
}
