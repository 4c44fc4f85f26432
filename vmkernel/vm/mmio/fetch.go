package mmio

import "fmt"

// MaxLen is the longest instruction in bytes (SDM 2A 2.3.11).
const MaxLen = 15

const pageSize = 4096

// Fetch reads the instruction at c's RIP into code and returns how many
// bytes: MaxLen, or fewer where the next page isn't there. No page at all is
// an error.
func Fetch(mem Memory, c *CPU, code *[MaxLen]byte) (int, error) {
	linear := c.codeAddress()
	n := min(MaxLen, int(pageSize-linear%pageSize))
	if err := fetchPage(mem, c, linear, code[:n]); err != nil {
		return 0, err
	}
	if n < MaxLen && fetchPage(mem, c, nextPage(c, linear), code[n:]) == nil {
		n = MaxLen
	}
	return n, nil
}

// fetchPage fills p from linear on, all in one page.
func fetchPage(mem Memory, c *CPU, linear uint64, p []byte) error {
	gpa, err := Translate(mem, c, linear, ForFetch)
	if err != nil {
		return err
	}
	if err := mem.ReadAt(p, gpa); err != nil {
		return fmt.Errorf("mmio: instruction at linear address %#x: %w", linear, err)
	}
	return nil
}

// nextPage returns the linear address of the page after that of linear.
func nextPage(c *CPU, linear uint64) uint64 {
	linear = linear&^(pageSize-1) + pageSize
	if c.Mode != Mode64 {
		linear &= 0xffffffff
	}
	return linear
}
