package mem

// A Scrubber says when to zero free page frames, so that those who need zeroed ones find them. A frame is dirty until it
// has been zeroed, and only clean ones are ever handed out as they are; who finds no clean one zeroes a dirty one at once,
// on its own time.
//
// What somebody had and gave back is zeroed, all of it: the next VM may want it, and nobody's data stays for long. What
// nobody had since the host started is zeroed from when fewer than Low frames are clean until High are: enough for what
// comes next, and no more, since most of it may never be asked for.
//
// It has no pointers, allocates nothing and takes constant time: the lower half calls it.
type Scrubber struct {
	Low, High uint64 // frames, ascending
	filling   bool
}

// NewScrubber returns a Scrubber for a host of so many page frames.
func NewScrubber(pages uint64) Scrubber {
	high := max(pages/16, 512)
	return Scrubber{Low: high / 2, High: high}
}

// Next says whether an idle processor is to zero dirty frames now: clean is how many free frames are clean, and soiled how
// many of the others somebody had.
func (s *Scrubber) Next(clean, soiled uint64) bool {
	switch {
	case clean >= s.High:
		s.filling = false
	case clean < s.Low:
		s.filling = true
	}
	return s.filling || soiled > 0
}
