package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"keel/vmkernel/seed"
)

// ParseSize reads a size as a document has it, such as 256MiB, and returns its bytes.
func ParseSize(text string) (uint64, error) {
	return readSize(&seed.Node{Kind: seed.String, Text: text})
}

// ParsePercent reads a share of processors as a document has it, such as 12.5%, and returns thousandths of one.
func ParsePercent(text string) (uint64, error) {
	return readPercent(&seed.Node{Kind: seed.String, Text: text})
}

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
	if strings.HasPrefix(n.Text, "-") {
		return 0, fmt.Errorf("%q is negative; %s", n.Text, how)
	}
	return 0, fmt.Errorf("%q is not a size; %s", n.Text, how)
}

// readPercent reads a share of processors such as 50% or 12.5% and returns thousandths of one. A plain number is
// refused: it could be a number of processors.
func readPercent(n *seed.Node) (uint64, error) {
	const how = "write it as in 50%, where 100% is one logical processor"
	switch n.Kind {
	case seed.Number:
		return 0, fmt.Errorf("%s has no unit; %s", n.Text, how)
	case seed.String:
	default:
		return 0, fmt.Errorf("is not a percentage; %s", how)
	}
	text, percent := strings.CutSuffix(n.Text, "%")
	whole, tenth, point := strings.Cut(text, ".")
	if !point {
		tenth = "0"
	}
	v, err := strconv.ParseUint(whole, 10, 32)
	digit, digitErr := strconv.ParseUint(tenth, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange) && percent:
		return 0, fmt.Errorf("%s is more than any machine has", n.Text)
	case err == nil && digitErr == nil && percent && len(tenth) > 1:
		return 0, fmt.Errorf("%s has more than one decimal place", n.Text)
	case strings.HasPrefix(whole, "-"):
		return 0, fmt.Errorf("%q is negative; %s", n.Text, how)
	case err != nil || digitErr != nil || !percent:
		return 0, fmt.Errorf("%q is not a percentage; %s", n.Text, how)
	}
	return v*10 + digit, nil
}
