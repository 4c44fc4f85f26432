package core

import (
	"math/rand/v2"
	"testing"
)

// TestRegionsAgreeWithAMapOfPages maps and unmaps at random and compares each page with a plain map.
func TestRegionsAgreeWithAMapOfPages(t *testing.T) {
	const pages = 200
	const page = 4096
	for range 50 {
		space.n = 0
		model := map[uintptr]bool{} // page -> writable
		for range 200 {
			lo := rand.UintN(pages)
			hi := lo + 1 + rand.UintN(20)
			carve(uintptr(lo)*page, uintptr(hi)*page)
			for p := lo; p < hi; p++ {
				delete(model, uintptr(p))
			}
			if rand.UintN(3) > 0 {
				write := rand.UintN(2) == 0
				addRegion(uintptr(lo)*page, uintptr(hi)*page, write, regionAnon)
				for p := lo; p < hi; p++ {
					model[uintptr(p)] = write
				}
			}
			writable := uint64(0)
			for p := uintptr(0); p < pages+20; p++ {
				i := findRegion(p * page)
				in := i < space.n && space.regions[i].start <= p*page
				write, want := model[p]
				if in != want || in && space.regions[i].write != write {
					t.Fatalf("page %d: mapped %v, want %v and writable %v; regions %v", p, in, want, write, space.regions[:space.n])
				}
				if write {
					writable++
				}
			}
			if n := writablePages(0, (pages+20)*page); n != writable {
				t.Fatalf("%d pages are writable, want %d", n, writable)
			}
			for i := 1; i < space.n; i++ {
				if space.regions[i-1].end > space.regions[i].start {
					t.Fatalf("regions overlap or are out of order: %v", space.regions[:space.n])
				}
			}
		}
	}
	space.n = 0
}
