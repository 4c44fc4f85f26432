package linux

import "strconv"

// An Errno is the error of a system call.
type Errno uintptr

const (
	EPERM     Errno = 1
	ENOENT    Errno = 2
	ESRCH     Errno = 3
	EINTR     Errno = 4
	EBADF     Errno = 9
	EAGAIN    Errno = 11
	ENOMEM    Errno = 12
	EFAULT    Errno = 14
	EBUSY     Errno = 16
	EXDEV     Errno = 18
	ENODEV    Errno = 19
	EINVAL    Errno = 22
	ENOSPC    Errno = 28
	ENOSYS    Errno = 38
	ETIMEDOUT Errno = 110
)

func (e Errno) Error() string {
	switch e {
	case EPERM:
		return "operation not permitted"
	case ENOENT:
		return "no such file or directory"
	case ESRCH:
		return "no such process"
	case EINTR:
		return "interrupted system call"
	case EBADF:
		return "bad file descriptor"
	case EAGAIN:
		return "resource temporarily unavailable"
	case ENOMEM:
		return "cannot allocate memory"
	case EFAULT:
		return "bad address"
	case EBUSY:
		return "device or resource busy"
	case EXDEV:
		return "invalid cross-device link"
	case ENODEV:
		return "no such device"
	case EINVAL:
		return "invalid argument"
	case ENOSPC:
		return "no space left on device"
	case ENOSYS:
		return "function not implemented"
	case ETIMEDOUT:
		return "connection timed out"
	}
	return "errno " + strconv.Itoa(int(e))
}
