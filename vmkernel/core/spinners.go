package core

import "keel/arch/amd64"

// A spinner is a thread that sleeps until its word isn't zero.
type spinner struct {
	word uintptr
	id   uint32
}

// spinnerList is a set of spinners in one piece, in page frames: all their words are read whenever a thread may have changed
// one, and there may be a thousand. A thread in it has its place in waitNext.
type spinnerList struct {
	n     uint32
	items uintptr // [maxWorlds]spinner
}

const (
	spinnerSize  = 16
	spinnerPages = (spinnerSize*maxWorlds + amd64.PageSize - 1) / amd64.PageSize
)

// prepare takes the list's frames.
func (l *spinnerList) prepare() {
	pa := allocPages(spinnerPages, ownerKeel)
	if pa == 0 {
		fatal("too little memory for the list of threads that spin", 0)
	}
	l.items = amd64.DirectMap + uintptr(pa)
}

func (l *spinnerList) at(i uint32) *spinner { return at[spinner](l.items + spinnerSize*uintptr(i)) }

func (l *spinnerList) add(w *world) {
	*l.at(l.n) = spinner{addrOf(w.word()), w.id}
	w.waitNext = l.n
	l.n++
}

// remove takes w, which is in the list, out of it. The last takes its place.
func (l *spinnerList) remove(w *world) {
	l.n--
	last := *l.at(l.n)
	*l.at(w.waitNext) = last
	worldAt(last.id).waitNext = w.waitNext
	w.waitNext = 0
}
