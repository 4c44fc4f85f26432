package main

import (
	"debug/elf"
	"strings"

	keel "keel/tools/lowercheck/image"
)

const pageSize = 4096

// trimTail takes from the last segment the end of its zeroed variables, in whole pages, that only
// ordinary Go code touches: crypto's 32 MiB that no program of ours ever uses, for one, since the
// linker puts the largest variables last. The kernel reads from the program header, as the boot
// loader has put it into memory, where the segment ends, and backs what follows when it is touched.
// The lower half can't take a page fault, and uses some of the runtime's variables, so theirs stay.
func (img *image) trimTail(f *elf.File) error {
	var last *elf.Prog
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			last = p
		}
	}
	syms, err := f.Symbols()
	if err != nil {
		return err
	}
	end := last.Vaddr + last.Filesz
	for _, s := range syms {
		if s.Size != 0 && s.Value < img.high && isResident(s.Name) {
			end = max(end, s.Value+min(s.Size, img.high-s.Value))
		}
	}
	if end = alignUp(end, pageSize); end < img.high {
		img.high = end
	}
	return nil
}

// isResident says whether a symbol's memory has to be there from the start.
func isResident(symbol string) bool {
	pkg := keel.PackageOf(symbol)
	return pkg == "" || pkg == "runtime" || strings.HasPrefix(pkg, "internal/runtime/") || keel.HalfOf(pkg) == keel.Lower
}
