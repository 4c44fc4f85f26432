package core

import (
	"keel/arch/amd64"
	"keel/boot/handover"
	"keel/vmkernel/linux"
	"keel/vmkernel/sys"
)

// The record of crashes lies in a page that a warm restart leaves alone: just below the image,
// kept out of the frame allocator. Whether it did is what the checksum says.
const (
	crashPage  = imageBase - amd64.PageSize
	crashMagic = 0x6C65656B_68737263 // "crshkeel"
)

// A crashRecord is the page. Times are in ns since 1970, the latest first.
type crashRecord struct {
	magic, sum uint64
	times      [sys.CrashTimes]uint64
	length     uint64
	text       [sys.CrashText]byte
}

// consoleTail holds the last bytes that went to the console, which a crash leaves for the next
// start.
var consoleTail struct {
	text [sys.CrashText]byte
	n    uint64 // bytes ever written
}

// keepTail notes a byte of the console; its lock is held.
func keepTail(b byte) {
	consoleTail.text[consoleTail.n%sys.CrashText] = b
	consoleTail.n++
}

func (r *crashRecord) checksum() uint64 {
	sum := uint64(crashMagic)
	for _, t := range r.times {
		sum = sum<<7 ^ sum>>57 ^ t
	}
	for _, b := range r.text {
		sum = sum<<7 ^ sum>>57 ^ uint64(b)
	}
	return sum ^ r.length
}

func (r *crashRecord) valid() bool {
	return r.magic == crashMagic && r.length <= sys.CrashText && r.sum == r.checksum()
}

// reserveCrash keeps the page, before the frame allocator starts; false where there are too many
// reservations.
func reserveCrash() bool { return boot.Reserve(crashPage, amd64.PageSize, handover.Other) }

// saveCrash records that the host has crashed now, with the end of what the console shows.
func saveCrash() {
	if kernelRoot == 0 {
		return
	}
	r := phys[crashRecord](crashPage)
	if !r.valid() {
		*phys[page](crashPage) = page{}
		r.magic = crashMagic
	}
	for i := len(r.times) - 1; i > 0; i-- {
		r.times[i] = r.times[i-1]
	}
	r.times[0] = nanotime() + wallOffset
	r.length = min(consoleTail.n, sys.CrashText)
	for i := uint64(0); i < r.length; i++ {
		r.text[i] = consoleTail.text[(consoleTail.n-r.length+i)%sys.CrashText]
	}
	r.sum = r.checksum()
}

// callCrash copies the record, if there is a sound one, and forgets its text: it is shown once.
func callCrash(p uintptr) int64 {
	if !ensure(p, crashSize, true) {
		return -int64(linux.EFAULT)
	}
	r := phys[crashRecord](crashPage)
	if !r.valid() {
		return -int64(linux.ENOENT)
	}
	c := at[sys.Crash](p)
	c.Times, c.Length, c.Text = r.times, r.length, r.text
	r.length = 0
	r.sum = r.checksum()
	return 0
}
