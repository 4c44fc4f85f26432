package core

import (
	"math/bits"

	"keel/arch/amd64"
	"keel/boot/handover"
)

// Page frames are managed in blocks of 2 MiB. A block is wholly free, wholly used, or split into
// 512 frames with a bit for each. Blocks that are free and blocks that are split with frames left
// stand in two lists, so that taking and giving back a frame or a block takes constant time.
const (
	framesPerBlock = amd64.HugeSize / amd64.PageSize
	noBlock        = ^uint32(0)
)

// block describes 2 MiB of physical memory. A bit of free is set for a free frame.
type block struct {
	free       [framesPerBlock / 64]uint64
	next, prev uint32
	count      uint16 // free frames
	list       uint8  // 0 none, 1 free, 2 split
}

type frameList struct{ head uint32 }

var frames struct {
	lock      spinlock
	blocks    uintptr // []block, in the direct map
	n         uint32
	lists     [3]frameList
	total     uint64 // frames that were ever usable
	freeCount uint64
	promised  uint64 // frames committed to the upper half that aren't backed yet
}

func blockAt(i uint32) *block { return at[block](frames.blocks + uintptr(i)*blockSize) }

func (l *frameList) push(kind uint8, i uint32) {
	b := blockAt(i)
	b.list, b.prev, b.next = kind, noBlock, l.head
	if l.head != noBlock {
		blockAt(l.head).prev = i
	}
	l.head = i
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
	b.list = 0
}

// relist puts a block into the list that its count calls for.
func relist(i uint32) {
	b := blockAt(i)
	var want uint8
	switch b.count {
	case 0:
	case framesPerBlock:
		want = 1
	default:
		want = 2
	}
	if b.list == want {
		return
	}
	if b.list != 0 {
		frames.lists[b.list].remove(i)
	}
	if want != 0 {
		frames.lists[want].push(want, i)
	}
}

// initFrames hands all free memory of the hand-over to the allocator. The descriptors are cut from
// the first piece below early that fits them: early is where the boot page tables end.
func initFrames(h *handover.Handover, early uint64) string {
	frames.n = uint32((h.Top() + amd64.HugeSize - 1) / amd64.HugeSize)
	need := (uint64(frames.n)*uint64(blockSize) + amd64.PageSize - 1) &^ (amd64.PageSize - 1)
	table, end := h.NextFree(0)
	for end != 0 && end-table < need {
		table, end = h.NextFree(end)
	}
	if end == 0 || table+need > early || !h.Reserve(table, need, handover.Other) {
		return "too little memory: no room for the page-frame table"
	}
	frames.blocks = amd64.DirectMap + uintptr(table)
	for pa := table; pa < table+need; pa += amd64.PageSize {
		*phys[page](pa) = page{}
	}
	for k := range frames.lists {
		frames.lists[k].head = noBlock
	}
	for base, end := h.NextFree(0); end != 0; base, end = h.NextFree(end) {
		for pa := base; pa < end; pa += amd64.PageSize {
			b := blockAt(uint32(pa / amd64.HugeSize))
			f := pa / amd64.PageSize % framesPerBlock
			b.free[f/64] |= 1 << (f % 64)
			b.count++
		}
		frames.total += (end - base) / amd64.PageSize
	}
	frames.freeCount = frames.total
	for i := frames.n; i > 0; i-- {
		relist(i - 1)
	}
	return ""
}

// allocFrame takes one frame, zeroed; 0 means that there is none.
func allocFrame() uint64 {
	frames.lock.lock()
	i := frames.lists[2].head
	if i == noBlock {
		i = frames.lists[1].head
	}
	if i == noBlock {
		frames.lock.unlock()
		return 0
	}
	b := blockAt(i)
	var pa uint64
	for w := range b.free {
		if b.free[w] != 0 {
			bit := bits.TrailingZeros64(b.free[w])
			b.free[w] &^= 1 << bit
			pa = uint64(i)*amd64.HugeSize + uint64(w*64+bit)*amd64.PageSize
			break
		}
	}
	b.count--
	frames.freeCount--
	relist(i)
	frames.lock.unlock()
	*phys[page](pa) = page{}
	return pa
}

func freeFrame(pa uint64) {
	frames.lock.lock()
	i := uint32(pa / amd64.HugeSize)
	f := pa / amd64.PageSize % framesPerBlock
	b := blockAt(i)
	if b.free[f/64]&(1<<(f%64)) != 0 {
		fatal("a page frame was freed twice", pa)
	}
	b.free[f/64] |= 1 << (f % 64)
	b.count++
	frames.freeCount++
	relist(i)
	frames.lock.unlock()
}

// allocBlock takes 2 MiB, aligned, not zeroed; 0 means that there is none.
func allocBlock() uint64 {
	frames.lock.lock()
	i := frames.lists[1].head
	if i == noBlock {
		frames.lock.unlock()
		return 0
	}
	takeBlock(i)
	frames.lock.unlock()
	return uint64(i) * amd64.HugeSize
}

// takeBlock takes the wholly free block i; the lock is held.
func takeBlock(i uint32) {
	b := blockAt(i)
	b.free = [framesPerBlock / 64]uint64{}
	b.count = 0
	frames.freeCount -= framesPerBlock
	relist(i)
}

// allocRun takes n consecutive blocks, the first aligned to n; 0 means that there is none. It
// looks at every block: for 1 GiB pages only, when a VM is made.
func allocRun(n uint32) uint64 {
	frames.lock.lock()
	pa := uint64(0)
	for i := uint32(0); i+n <= frames.n && pa == 0; i += n {
		k := uint32(0)
		for k < n && blockAt(i+k).count == framesPerBlock {
			k++
		}
		if k == n {
			for k = 0; k < n; k++ {
				takeBlock(i + k)
			}
			pa = uint64(i) * amd64.HugeSize
		}
	}
	frames.lock.unlock()
	return pa
}

func freeBlock(pa uint64) {
	frames.lock.lock()
	i := uint32(pa / amd64.HugeSize)
	b := blockAt(i)
	if b.count != 0 {
		fatal("a block of page frames was freed twice", pa)
	}
	for w := range b.free {
		b.free[w] = ^uint64(0)
	}
	b.count = framesPerBlock
	frames.freeCount += framesPerBlock
	relist(i)
	frames.lock.unlock()
}

// allocPages takes n consecutive frames, zeroed, n at most 512; 0 means that there are none. Only
// for structures that the processor wants in one piece.
func allocPages(n int) uint64 {
	if n == 1 {
		return allocFrame()
	}
	pa := allocBlock()
	if pa == 0 {
		return 0
	}
	for i := 0; i < framesPerBlock; i++ {
		f := pa + uint64(i)*amd64.PageSize
		if i < n {
			*phys[page](f) = page{}
		} else {
			freeFrame(f)
		}
	}
	return pa
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

// promise sets n frames aside for memory that is mapped but not yet backed.
func promise(n uint64) bool {
	frames.lock.lock()
	ok := frames.promised+n+spareFrames <= frames.freeCount
	if ok {
		frames.promised += n
	}
	frames.lock.unlock()
	return ok
}

// repromise sets n frames aside that were backed until now and are about to be freed.
func repromise(n uint64) {
	frames.lock.lock()
	frames.promised += n
	frames.lock.unlock()
}

// unpromise gives a promise of n frames back, kept or not.
func unpromise(n uint64) {
	frames.lock.lock()
	frames.promised -= n
	frames.lock.unlock()
}

// spareFrames are kept for page tables and the lower half's own objects: 2 MiB.
const spareFrames = 512
