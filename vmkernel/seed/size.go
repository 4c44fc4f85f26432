package seed

import (
	"errors"
	"fmt"
	"strconv"
)

var units = []struct {
	name  string
	shift uint
}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}

// FormatSize writes a number of bytes with the largest unit in which it is whole, such as 256MiB, or as bytes.
func FormatSize(n uint64) string {
	for _, u := range units {
		if n != 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatUint(n>>u.shift, 10) + u.name
		}
	}
	if n == 1 {
		return "1 byte"
	}
	return strconv.FormatUint(n, 10) + " bytes"
}

// byteSize reads the size of keel.json: a plain number of bytes.
func byteSize(n *Node) (uint64, error) {
	if n.Kind != Number {
		return 0, fmt.Errorf("%s is not a number of bytes", brief(n))
	}
	v, err := strconv.ParseUint(n.Text, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, fmt.Errorf("%s is not a whole number of bytes", brief(n))
	}
	return v, nil // out of range: the largest, which is above every maximum
}
