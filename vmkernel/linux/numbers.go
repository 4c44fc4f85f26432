package linux

// Numbers of system calls.
const (
	SYS_READ              = 0
	SYS_WRITE             = 1
	SYS_CLOSE             = 3
	SYS_MMAP              = 9
	SYS_MUNMAP            = 11
	SYS_RT_SIGACTION      = 13
	SYS_RT_SIGPROCMASK    = 14
	SYS_RT_SIGRETURN      = 15
	SYS_SCHED_YIELD       = 24
	SYS_MADVISE           = 28
	SYS_NANOSLEEP         = 35
	SYS_GETPID            = 39
	SYS_CLONE             = 56
	SYS_EXIT              = 60
	SYS_FCNTL             = 72
	SYS_SIGALTSTACK       = 131
	SYS_PRCTL             = 157
	SYS_ARCH_PRCTL        = 158
	SYS_GETTID            = 186
	SYS_FUTEX             = 202
	SYS_SCHED_GETAFFINITY = 204
	SYS_CLOCK_GETTIME     = 228
	SYS_EXIT_GROUP        = 231
	SYS_EPOLL_CTL         = 233
	SYS_TGKILL            = 234
	SYS_OPENAT            = 257
	SYS_EPOLL_PWAIT       = 281
	SYS_EPOLL_CREATE1     = 291
	SYS_PRLIMIT64         = 302
)

// Flags and commands.
const (
	PROT_READ       = 1
	PROT_WRITE      = 2
	MAP_PRIVATE     = 2
	MAP_FIXED       = 0x10
	MAP_ANONYMOUS   = 0x20
	MAP_NORESERVE   = 0x4000
	MADV_DONTNEED   = 4
	MADV_HUGEPAGE   = 14
	MADV_NOHUGEPAGE = 15
	F_GETFL         = 3
	O_RDWR          = 2
)
