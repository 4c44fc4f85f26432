package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"keel/vmkernel/seed"
)

// readSize reads a size such as 256MiB and returns its bytes. Only the units KiB, MiB and GiB exist: what MB or a plain
// number means would have to be guessed.
func readSize(n *seed.Node) (uint64, error) {
	const how = "write a whole number of KiB, MiB or GiB, as in 256MiB"
	switch n.Kind {
	case seed.Number:
		return 0, fmt.Errorf("%s has no unit; %s", n.Text, how)
	case seed.String:
	default:
		return 0, fmt.Errorf("is not a size; %s", how)
	}
	digits, shift := n.Text, 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if s, ok := strings.CutSuffix(n.Text, unit); ok {
			digits, shift = s, bits
		}
	}
	v, err := strconv.ParseUint(digits, 10, 64)
	if err == nil && shift != 0 && v<<shift>>shift == v {
		return v << shift, nil
	}
	if err == nil && shift != 0 {
		return 0, fmt.Errorf("%s is more than any machine has", n.Text)
	}
	return 0, fmt.Errorf("%q is not a size; %s", n.Text, how)
}
