package core

// Where the linker has put the parts of the image, at virtual addresses that are the physical ones:
// the ELF header at imageBase, then code, constants, data and zeroed variables.
func textLimit() uintptr  // end of the code
func dataStart() uintptr  // of what can be written
func imageLimit() uintptr // end of all variables

// loadedLimit is the end of the memory that the boot loader has given the image, page aligned: the
// program headers say, which it has put at imageBase with the rest. Behind it, up to imageLimit, lie
// variables that only the upper half touches (tools/mkimage finds them). core: any stack.
func loadedLimit() uint64 {
	// Offsets in the ELF header and in a program header, and a segment's type (System V ABI, chapters
	// 4 and 5).
	const (
		phoff, phentsize, phnum = 32, 54, 56
		pType, pVaddr, pMemsz   = 0, 16, 40
		load                    = 1
	)
	end := uint64(imageBase)
	h := imageBase + uintptr(*at[uint64](imageBase + phoff))
	for n := *at[uint16](imageBase + phnum); n > 0; n-- {
		if *at[uint32](h + pType) == load {
			end = max(end, *at[uint64](h + pVaddr)+*at[uint64](h + pMemsz))
		}
		h += uintptr(*at[uint16](imageBase + phentsize))
	}
	return roundUp64(end)
}

// addTail gives the upper half the variables behind loadedLimit, to be backed when they are touched.
func addTail() {
	if start, end := uintptr(loadedLimit()), roundUp(imageLimit()); start < end {
		addRegion(start, end, true, regionSparse)
	}
}

// inImage says whether [lo, hi) touches the image.
func inImage(lo, hi uintptr) bool { return lo < imageLimit() && hi > imageBase }
