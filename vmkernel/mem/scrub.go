package mem

// A Scrubber says when to zero page frames that were given back, so that those who need zeroed ones find them. A frame
// is dirty from when it is given back until it has been zeroed, and only clean ones are ever handed out as they are; who
// finds no clean one zeroes a dirty one at once, on its own time.
//
// It has three states. Resting: there are enough clean frames, or nothing is dirty. Filling: an idle processor zeroes,
// from when fewer than Low are clean until High are. Behind: fewer than Least are clean, and each tick zeroes a few even
// on a busy processor, so that those who need one soon don't all wait. Each call asks for at most Batch frames (Trickle
// when behind), which bounds how long a processor is away from its next decision: a frame takes some 100 to 400 ns on
// hardware.
//
// It has no pointers, allocates nothing and takes constant time: the lower half may call it.
type Scrubber struct {
	Least, Low, High uint64 // frames, ascending
	Batch, Trickle   uint64 // frames a call

	filling bool
}

// NewScrubber returns a Scrubber for a host of so many page frames.
func NewScrubber(pages uint64) Scrubber {
	high := max(pages/16, 512)
	return Scrubber{Least: high / 16, Low: high / 2, High: high, Batch: 256, Trickle: 8}
}

// Next says how many dirty frames to zero now. idle means that the processor has nothing else to do.
func (s *Scrubber) Next(clean, dirty uint64, idle bool) uint64 {
	switch {
	case clean >= s.High || dirty == 0:
		s.filling = false
	case clean < s.Low:
		s.filling = true
	}
	switch {
	case idle && s.filling:
		return min(s.Batch, dirty, s.High-clean)
	case clean < s.Least:
		return min(s.Trickle, dirty)
	}
	return 0
}
