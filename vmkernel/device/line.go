package device

import "sync"

// SharedLine joins several devices to one interrupt line: the line is
// asserted while any of them asserts its input, as COM1 and COM3 share IRQ 4.
type SharedLine struct {
	mu     sync.Mutex
	line   Line
	inputs []bool
}

// NewSharedLine returns a SharedLine that drives line.
func NewSharedLine(line Line) *SharedLine { return &SharedLine{line: line} }

// Input adds an input, not asserted, and returns it. All inputs are made
// before the VM runs.
func (s *SharedLine) Input() Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inputs = append(s.inputs, false)
	return &sharedInput{s, len(s.inputs) - 1}
}

type sharedInput struct {
	shared *SharedLine
	index  int
}

// Set gives the level of this input; the line is set when the joint level
// changes.
func (in *sharedInput) Set(level bool) {
	s := in.shared
	s.mu.Lock()
	before := s.asserted()
	s.inputs[in.index] = level
	if after := s.asserted(); after != before {
		s.line.Set(after)
	}
	s.mu.Unlock()
}

func (s *SharedLine) asserted() bool {
	for _, high := range s.inputs {
		if high {
			return true
		}
	}
	return false
}
