package core

import (
	"math/bits"

	"keel/arch/amd64"
	"keel/boot/handover"
)

// Page frames are managed in blocks of 2 MiB. A block is wholly free, wholly used, or split into
// 512 frames with a bit for each. Each NUMA node has its blocks in three lists: wholly free and known
// to be zero, wholly free and not, and split with frames left; so taking and giving back a frame or a
// block takes constant time. Every frame has an owner, see owner.go.
const (
	framesPerBlock = amd64.HugeSize / amd64.PageSize
	noBlock        = ^uint32(0)
)

// block describes 2 MiB of physical memory. A bit of free is set for a free frame, and one of clean
// for a free frame that is known to be zero.
type block struct {
	free, clean [framesPerBlock / 64]uint64
	next, prev  uint32
	count       uint16 // free frames
	zero        uint16 // of these, clean ones; of a wholly used block: 512 if it was zero when it was taken
	usable      uint16 // all that are free or somebody's
	list        uint8
	node        uint8
	used        bool // somebody had frames of it since the start
}

// The lists that a block may be in.
const (
	listNone = iota
	listClean
	listDirty
	listSplit
	numLists
)

type frameList struct{ head uint32 }

var frames struct {
	lock      spinlock
	blocks    uintptr // []block, in the direct map
	owners    uintptr // []owner, one a frame
	n         uint32  // blocks
	lists     [maxNodes][numLists]frameList
	total     uint64 // frames that were ever usable
	freeCount uint64
	promised  uint64 // frames that are set aside for somebody and not taken yet
	clean     uint64 // free frames that are known to be zero
	soiled    uint64 // frames of wholly free blocks that aren't, and that somebody had
	scrubbing bool   // a processor is zeroing some, which are nobody's meanwhile
}

func blockAt(i uint32) *block { return at[block](frames.blocks + uintptr(i)*blockSize) }

// soil is what a block in the dirty list counts for in frames.soiled.
func (b *block) soil() uint64 {
	if !b.used {
		return 0
	}
	return uint64(framesPerBlock - b.zero)
}

func (l *frameList) push(kind uint8, i uint32) {
	b := blockAt(i)
	b.list, b.prev, b.next = kind, noBlock, l.head
	if l.head != noBlock {
		blockAt(l.head).prev = i
	}
	l.head = i
	if kind == listDirty {
		frames.soiled += b.soil()
	}
}

func (l *frameList) remove(i uint32) {
	b := blockAt(i)
	if b.prev != noBlock {
		blockAt(b.prev).next = b.next
	} else {
		l.head = b.next
	}
	if b.next != noBlock {
		blockAt(b.next).prev = b.prev
	}
	if b.list == listDirty {
		frames.soiled -= b.soil()
	}
	b.list = listNone
}

// relist counts so many more free frames of a block, and so many more clean ones, and puts it into the
// list that it belongs in then. The lock is held.
func relist(i uint32, free, zero int) {
	b := blockAt(i)
	if b.list != listNone {
		frames.lists[b.node][b.list].remove(i)
	}
	b.count += uint16(free)
	b.zero += uint16(zero)
	frames.freeCount += uint64(free)
	frames.clean += uint64(zero)
	nodes[b.node].free += uint64(free)
	nodes[b.node].clean += uint64(zero)
	want := uint8(listSplit)
	switch {
	case b.count == 0:
		return
	case b.zero == framesPerBlock:
		want = listClean
	case b.count == framesPerBlock:
		want = listDirty
	}
	frames.lists[b.node][want].push(want, i)
}

// initFrames hands all free memory of the hand-over to the allocator. The descriptors are cut from
// the first piece below early that fits them: early is where the boot page tables end.
func initFrames(h *handover.Handover, early uint64) string {
	frames.n = uint32((h.Top() + amd64.HugeSize - 1) / amd64.HugeSize)
	descriptors := (uint64(frames.n)*uint64(blockSize) + 7) &^ 7
	need := roundUp64(descriptors + uint64(frames.n)*framesPerBlock*uint64(ownerSize))
	table, end := h.NextFree(0)
	for end != 0 && end-table < need {
		table, end = h.NextFree(end)
	}
	if end == 0 || table+need > early || !h.Reserve(table, need, handover.Other) {
		return "too little memory: no room for the page-frame table"
	}
	frames.blocks = amd64.DirectMap + uintptr(table)
	frames.owners = frames.blocks + uintptr(descriptors)
	for pa := table; pa < table+need; pa += amd64.PageSize {
		*phys[page](pa) = page{}
	}
	initLists()
	for base, end := h.NextFree(0); end != 0; base, end = h.NextFree(end) {
		for pa := base; pa < end; pa += amd64.PageSize {
			addFrame(pa)
		}
	}
	for i := frames.n; i > 0; i-- {
		b := blockAt(i - 1)
		b.usable, b.count = b.count, 0
		relist(i-1, int(b.usable), 0)
	}
	return ""
}

func initLists() {
	for node := range frames.lists {
		for k := range frames.lists[node] {
			frames.lists[node][k].head = noBlock
		}
	}
}

// addFrame makes a frame known, as a free one that may hold anything.
func addFrame(pa uint64) {
	b := blockAt(uint32(pa / amd64.HugeSize))
	f := pa / amd64.PageSize % framesPerBlock
	b.free[f/64] |= 1 << (f % 64)
	b.count++
	frames.total++
}

// takeFrame takes one frame for o, and says whether it is known to be zero; 0 means that there is
// none for it.
func takeFrame(o owner) (pa uint64, zero bool) {
	frames.lock.lock()
	if o.budgeted() && frameOwners[o].budget == 0 {
		frames.lock.unlock()
		return 0, false
	}
	home, i := o.home(), noBlock
	for k := 0; k < numNodes && i == noBlock; k++ {
		lists := &frames.lists[nodes[home].order[k]]
		for _, kind := range [...]uint8{listSplit, listDirty, listClean} { // whole blocks of zeros are for VMs
			if i = lists[kind].head; i != noBlock {
				break
			}
		}
	}
	if i == noBlock {
		frames.lock.unlock()
		return 0, false
	}
	b := blockAt(i)
	w, bit := b.pick()
	zero = b.clean[w]>>bit&1 != 0
	b.free[w] &^= 1 << bit
	b.clean[w] &^= 1 << bit
	if b.list != listNone { // before used changes what it counts for
		frames.lists[b.node][b.list].remove(i)
	}
	b.used = true
	if zero {
		relist(i, -1, -1)
	} else {
		relist(i, -1, 0)
	}
	pa = uint64(i)*amd64.HugeSize + uint64(w*64+bit)*amd64.PageSize
	o.got(pa/amd64.PageSize, 1)
	frames.lock.unlock()
	return pa, zero
}

// pick finds a free frame of a block that has one, a clean one if there is any.
func (b *block) pick() (word, bit int) {
	word = -1
	for w := range b.free {
		if b.clean[w] != 0 {
			return w, bits.TrailingZeros64(b.clean[w])
		}
		if word < 0 && b.free[w] != 0 {
			word, bit = w, bits.TrailingZeros64(b.free[w])
		}
	}
	return word, bit
}

// allocFrame takes one frame for o, zeroed; 0 means that there is none.
func allocFrame(o owner) uint64 {
	pa, zero := takeFrame(o)
	if pa != 0 && !zero {
		*phys[page](pa) = page{}
	}
	return pa
}

// freeFrame gives a frame back that is o's.
func freeFrame(pa uint64, o owner) {
	frames.lock.lock()
	i := uint32(pa / amd64.HugeSize)
	f := pa / amd64.PageSize % framesPerBlock
	b := blockAt(i)
	if b.free[f/64]&(1<<(f%64)) != 0 {
		fatal("a page frame was freed twice", pa)
	}
	o.lost(pa/amd64.PageSize, 1)
	if b.count == 0 {
		b.zero = 0
	}
	b.free[f/64] |= 1 << (f % 64)
	relist(i, 1, 0)
	frames.lock.unlock()
}

// takeBlock takes 2 MiB, aligned, for o, and says whether they are known to be zero; 0 means that
// there is none for it.
func takeBlock(o owner) (pa uint64, zero bool) {
	frames.lock.lock()
	home, i := o.home(), noBlock
	if !o.budgeted() || frameOwners[o].budget >= framesPerBlock {
		for k := 0; k < numNodes && i == noBlock; k++ {
			lists := &frames.lists[nodes[home].order[k]]
			if i = lists[listClean].head; i == noBlock {
				i = lists[listDirty].head
			}
		}
	}
	if i == noBlock {
		frames.lock.unlock()
		return 0, false
	}
	zero = takeWhole(i, o)
	frames.lock.unlock()
	return uint64(i) * amd64.HugeSize, zero
}

// takeWhole takes the wholly free block i; the lock is held.
func takeWhole(i uint32, o owner) (zero bool) {
	b := blockAt(i)
	frames.lists[b.node][b.list].remove(i)
	b.free = [framesPerBlock / 64]uint64{}
	b.clean = b.free
	had := b.zero
	b.used = true
	relist(i, -framesPerBlock, -int(had))
	zero = had == framesPerBlock
	if zero {
		b.zero = framesPerBlock
	}
	o.got(uint64(i)*framesPerBlock, framesPerBlock)
	return zero
}

// takeRun takes n consecutive blocks for o, the first aligned to n, on its own node; 0 means that
// there is none. It looks at every block: for 1 GiB pages only, when a VM is made.
func takeRun(n uint32, o owner) uint64 {
	frames.lock.lock()
	pa, home := uint64(0), o.home()
	if o.budgeted() && frameOwners[o].budget < uint64(n)*framesPerBlock {
		frames.lock.unlock()
		return 0
	}
	for i := uint32(0); i+n <= frames.n && pa == 0; i += n {
		k := uint32(0)
		for k < n && blockAt(i+k).count == framesPerBlock && blockAt(i+k).node == home {
			k++
		}
		if k == n {
			for k = 0; k < n; k++ {
				takeWhole(i+k, o)
			}
			pa = uint64(i) * amd64.HugeSize
		}
	}
	frames.lock.unlock()
	return pa
}

// wasZero says of a block that was taken as a whole, and not written to since, that it is zero.
func wasZero(pa uint64) bool { return blockAt(uint32(pa/amd64.HugeSize)).zero == framesPerBlock }

// freeBlock gives back 2 MiB that were taken as a whole or frame by frame, and are all o's.
func freeBlock(pa uint64, o owner) {
	frames.lock.lock()
	i := uint32(pa / amd64.HugeSize)
	b := blockAt(i)
	if b.count != 0 {
		fatal("a block of page frames was freed twice", pa)
	}
	o.lost(pa/amd64.PageSize, framesPerBlock)
	for w := range b.free {
		b.free[w] = ^uint64(0)
	}
	b.zero = 0
	relist(i, framesPerBlock, 0)
	frames.lock.unlock()
}

// usedMemory is how much of the machine's memory Keel takes for itself, in bytes: what the firmware
// leaves to it, but for free frames, boot modules and the memory of virtual machines. Where these come
// and go meanwhile it is an estimate.
func usedMemory() uint64 {
	others := frames.freeCount*amd64.PageSize + guestMemory()
	for i := uint32(0); i < boot.NumModules; i++ {
		m := &boot.Modules[i]
		others += roundUp64(m.End) - m.Start&^(amd64.PageSize-1)
	}
	all := boot.UsableBytes()
	return all - min(all, others)
}
