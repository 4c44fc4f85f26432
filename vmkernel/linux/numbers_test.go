//go:build linux && amd64

package linux

import (
	"syscall"
	"testing"
)

func TestNumbersAreLinuxs(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"read", SYS_READ, syscall.SYS_READ},
		{"write", SYS_WRITE, syscall.SYS_WRITE},
		{"close", SYS_CLOSE, syscall.SYS_CLOSE},
		{"mmap", SYS_MMAP, syscall.SYS_MMAP},
		{"munmap", SYS_MUNMAP, syscall.SYS_MUNMAP},
		{"rt_sigaction", SYS_RT_SIGACTION, syscall.SYS_RT_SIGACTION},
		{"rt_sigprocmask", SYS_RT_SIGPROCMASK, syscall.SYS_RT_SIGPROCMASK},
		{"rt_sigreturn", SYS_RT_SIGRETURN, syscall.SYS_RT_SIGRETURN},
		{"sched_yield", SYS_SCHED_YIELD, syscall.SYS_SCHED_YIELD},
		{"madvise", SYS_MADVISE, syscall.SYS_MADVISE},
		{"nanosleep", SYS_NANOSLEEP, syscall.SYS_NANOSLEEP},
		{"getpid", SYS_GETPID, syscall.SYS_GETPID},
		{"clone", SYS_CLONE, syscall.SYS_CLONE},
		{"exit", SYS_EXIT, syscall.SYS_EXIT},
		{"fcntl", SYS_FCNTL, syscall.SYS_FCNTL},
		{"sigaltstack", SYS_SIGALTSTACK, syscall.SYS_SIGALTSTACK},
		{"prctl", SYS_PRCTL, syscall.SYS_PRCTL},
		{"arch_prctl", SYS_ARCH_PRCTL, syscall.SYS_ARCH_PRCTL},
		{"gettid", SYS_GETTID, syscall.SYS_GETTID},
		{"futex", SYS_FUTEX, syscall.SYS_FUTEX},
		{"sched_getaffinity", SYS_SCHED_GETAFFINITY, syscall.SYS_SCHED_GETAFFINITY},
		{"clock_gettime", SYS_CLOCK_GETTIME, syscall.SYS_CLOCK_GETTIME},
		{"exit_group", SYS_EXIT_GROUP, syscall.SYS_EXIT_GROUP},
		{"epoll_ctl", SYS_EPOLL_CTL, syscall.SYS_EPOLL_CTL},
		{"tgkill", SYS_TGKILL, syscall.SYS_TGKILL},
		{"openat", SYS_OPENAT, syscall.SYS_OPENAT},
		{"epoll_pwait", SYS_EPOLL_PWAIT, syscall.SYS_EPOLL_PWAIT},
		{"epoll_create1", SYS_EPOLL_CREATE1, syscall.SYS_EPOLL_CREATE1},
		{"prlimit64", SYS_PRLIMIT64, syscall.SYS_PRLIMIT64},
		{"PROT_READ", PROT_READ, syscall.PROT_READ},
		{"PROT_WRITE", PROT_WRITE, syscall.PROT_WRITE},
		{"MAP_PRIVATE", MAP_PRIVATE, syscall.MAP_PRIVATE},
		{"MAP_FIXED", MAP_FIXED, syscall.MAP_FIXED},
		{"MAP_ANONYMOUS", MAP_ANONYMOUS, syscall.MAP_ANONYMOUS},
		{"MAP_NORESERVE", MAP_NORESERVE, syscall.MAP_NORESERVE},
		{"MADV_DONTNEED", MADV_DONTNEED, syscall.MADV_DONTNEED},
		{"MADV_HUGEPAGE", MADV_HUGEPAGE, syscall.MADV_HUGEPAGE},
		{"MADV_NOHUGEPAGE", MADV_NOHUGEPAGE, syscall.MADV_NOHUGEPAGE},
		{"F_GETFL", F_GETFL, syscall.F_GETFL},
		{"O_RDWR", O_RDWR, syscall.O_RDWR},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d, want %d", c.name, c.got, c.want)
		}
	}
	for _, e := range []Errno{EPERM, ENOENT, ESRCH, EINTR, EBADF, EAGAIN, ENOMEM, EFAULT, EBUSY, EXDEV, ENODEV, EINVAL, ENOSPC, ENOSYS, ETIMEDOUT} {
		if got, want := e.Error(), syscall.Errno(e).Error(); got != want {
			t.Errorf("error %d is %q, want %q", uintptr(e), got, want)
		}
	}
	if got := Errno(200).Error(); got != "errno 200" {
		t.Errorf("an unknown error is %q", got)
	}
}
