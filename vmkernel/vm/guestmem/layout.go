package guestmem

// The machine keel-1 keeps guest-physical addresses from HoleStart to
// HighStart for devices; RAM that does not fit below continues at HighStart.
const (
	HoleStart uint64 = 3 << 30 // first address of the device hole
	HighStart uint64 = 4 << 30 // first address after it
)

// Split divides size bytes of RAM between the two places that keel-1 has for
// it: low bytes from address 0 and high bytes from HighStart. high is 0 for
// up to 3 GiB. low + high is size, always.
func Split(size uint64) (low, high uint64) {
	low = min(size, HoleStart)
	return low, size - low
}
