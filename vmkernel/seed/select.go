package seed

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNone is what Select returns for a host without a seed: it comes up with DefaultHost and no VMs.
var ErrNone = errors.New("seed: none given: the host has no VMs; " +
	"give one as a boot module or as /keel/seed.tar on the boot medium")

// Candidate is something that was given to the host as a seed.
type Candidate struct {
	Source string // where it was found, such as "boot module 1" or "/keel/seed.tar on the boot medium"
	Data   []byte
}

// Select returns the one seed that was given. With none it returns ErrNone. With more it names them all and takes none:
// which one was meant can't be known, and to run the wrong VMs is worse than to run none.
func Select(given []Candidate) (Candidate, error) {
	switch len(given) {
	case 0:
		return Candidate{}, ErrNone
	case 1:
		return given[0], nil
	}
	names := make([]string, len(given))
	for i, c := range given {
		names[i] = c.Source
	}
	return Candidate{}, fmt.Errorf("seed: %d were given (%s): the host takes none of them; give one", len(given), strings.Join(names, ", "))
}
