package main

import (
	"time"

	"keel/vmkernel/auth/builtin"
)

// image is what tools/mkimage has put into this image: when it was built (image.Built), the operator CAs that sign its
// seeds (image.SeedRules), and what it adds to its seed's trust (image.Extend). With an error the image is damaged: then
// no seed is taken, and no claim offered.
var image, errImage = builtin.Read()

// earliest is before any image of this source: the build's time where the image doesn't say.
var earliest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// builtAt is when the image was built.
func builtAt() time.Time {
	if image.Built.Before(earliest) {
		return earliest
	}
	return image.Built
}
