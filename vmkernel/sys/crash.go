package sys

import "unsafe"

// What is kept of the host's crashes over a warm restart.
const (
	CrashTimes = 3
	CrashText  = 3072 // bytes of the console's end
)

// Crash is the record of the host's last crashes. Times are in ns since 1970, the latest first, 0
// for none. Length is 0 where the text has been read before.
type Crash struct {
	Times  [CrashTimes]uint64
	Length uint64
	Text   [CrashText]byte
}

// GetCrash fills c; it fails with ENOENT where no crash is on record. The text is given once.
func GetCrash(c *Crash) error {
	_, err := call(NumCrash, uintptr(unsafe.Pointer(c)), 0, 0, 0)
	return err
}
