package core

import (
	"math/rand/v2"
	"testing"

	"keel/boot/acpi"
)

// testFrames makes the page frames of a machine of so many blocks, all free and dirty, on nodes whose first blocks are
// given. No frame's contents are touched.
func testFrames(t *testing.T, n uint32, firsts ...uint32) {
	t.Helper()
	blocks := make([]block, n)
	owners := make([]owner, n*framesPerBlock)
	frames.blocks, frames.owners, frames.n = addrOf(&blocks[0]), addrOf(&owners[0]), n
	frames.total, frames.freeCount, frames.promised, frames.clean, frames.soiled = 0, 0, 0, 0, 0
	frames.scrubbing = false
	clear(nodes[:])
	clear(frameOwners[:])
	numNodes = 1
	initLists()
	for f := uint64(1); f < uint64(n)*framesPerBlock; f++ { // address 0 means none
		addFrame(f << 12)
	}
	for i := n; i > 0; i-- {
		b := blockAt(i - 1)
		b.usable, b.count = b.count, 0
		relist(i-1, int(b.usable), 0)
	}
	var tables acpi.Tables
	for k, first := range firsts {
		end := n
		if k+1 < len(firsts) {
			end = firsts[k+1]
		}
		tables.Has |= acpi.HasSRAT
		tables.Affinities[k] = acpi.Affinity{Base: uint64(first) << 21, Length: uint64(end-first) << 21, Domain: uint32(k)}
		tables.NumAffinities++
	}
	initNodes(&tables)
	initScrub()
	t.Cleanup(func() { frames.blocks, numNodes = 0, 1; _, _ = blocks, owners })
}

// checkFrames compares all counts and lists with what the bits of the blocks say.
func checkFrames(t *testing.T) {
	t.Helper()
	var free, clean, soiled uint64
	var nodeFree, nodeClean [maxNodes]uint64
	listed := map[uint32]bool{}
	for k := range numNodes {
		for kind := uint8(listClean); kind < numLists; kind++ {
			for i := frames.lists[k][kind].head; i != noBlock; i = blockAt(i).next {
				if b := blockAt(i); listed[i] || b.list != kind || int(b.node) != k {
					t.Fatalf("block %d is in list %d of node %d: %+v", i, kind, k, b)
				}
				listed[i] = true
			}
		}
	}
	var counts [numOwners]uint64
	for i := range frames.n {
		b := blockAt(i)
		f, z := 0, 0
		for w := range b.free {
			f, z = f+ones(b.free[w]), z+ones(b.clean[w])
			if b.clean[w]&^b.free[w] != 0 {
				t.Fatalf("block %d: a used frame counts as clean: %+v", i, b)
			}
		}
		if f != int(b.count) || b.count != 0 && z != int(b.zero) || listed[i] != (b.count != 0) {
			t.Fatalf("block %d: %d free, %d clean, listed %v: %+v", i, f, z, listed[i], b)
		}
		free, clean = free+uint64(f), clean+uint64(z)
		nodeFree[b.node] += uint64(f)
		nodeClean[b.node] += uint64(z)
		if b.list == listDirty {
			soiled += b.soil()
		}
		for k := range uint64(framesPerBlock) {
			o := *ownerOf(uint64(i)*framesPerBlock + k)
			counts[o]++
			if free := b.free[k/64]>>(k%64)&1 != 0; free != (o == ownerNone) && i+uint32(k) != 0 {
				t.Fatalf("frame %d of block %d: free %v, owner %d", k, i, free, o)
			}
		}
	}
	if free != frames.freeCount || clean != frames.clean || soiled != frames.soiled {
		t.Fatalf("counted %d free, %d clean, %d soiled; kept %d, %d, %d", free, clean, soiled, frames.freeCount, frames.clean, frames.soiled)
	}
	budget := uint64(0)
	for o := range counts {
		if owner(o) != ownerNone && counts[o] != frameOwners[o].count {
			t.Fatalf("owner %d has %d frames, kept %d", o, counts[o], frameOwners[o].count)
		}
		budget += frameOwners[o].budget
	}
	if budget > frames.promised {
		t.Fatalf("%d frames are set aside and %d promised", budget, frames.promised)
	}
	for k := range numNodes {
		if n := &nodes[k]; n.free != nodeFree[k] || n.clean != nodeClean[k] {
			t.Fatalf("node %d: %d free, %d clean; kept %d, %d", k, nodeFree[k], nodeClean[k], n.free, n.clean)
		}
	}
}

// TestFramesAreCountedAndOwned takes and gives back at random, as the owners that there are, and zeroes in between.
func TestFramesAreCountedAndOwned(t *testing.T) {
	testFrames(t, 24, 0, 10, 17)
	r := rand.New(rand.NewPCG(3, 4))
	type piece struct {
		pa    uint64
		o     owner
		block bool
	}
	var held []piece
	owned := map[uint64]bool{}
	dirty := map[uint64]bool{} // frames that somebody had since they were zeroed
	everUsed := func(pa uint64, n uint64, zero bool) {
		for f := pa >> 12; f < pa>>12+n; f++ {
			if owned[f] {
				t.Fatalf("frame %d was given to two", f)
			}
			if zero && dirty[f] {
				t.Fatalf("frame %d was given as zero and another had it", f)
			}
			owned[f], dirty[f] = true, true
		}
	}
	frameOwners[memoryOf(3)].home, frameOwners[memoryOf(5)].home = 1, 2
	for step := range 20_000 {
		o := []owner{ownerKeel, ownerUpper, memoryOf(3), overheadOf(3), memoryOf(5)}[r.IntN(5)]
		switch r.IntN(15) {
		case 0:
			o.setAside(uint64(r.IntN(1500)), 0)
		case 1:
			if pa, zero := takeFrame(o); pa != 0 {
				everUsed(pa, 1, zero)
				held = append(held, piece{pa, o, false})
			}
		case 2:
			if pa, zero := takeBlock(o); pa != 0 {
				everUsed(pa, framesPerBlock, zero)
				if zero != wasZero(pa) {
					t.Fatal("a block forgot that it was zero")
				}
				held = append(held, piece{pa, o, true})
			}
		case 3:
			n := 1 + r.IntN(5)
			if pa, zero := takePages(n, overheadOf(4)); pa != 0 {
				everUsed(pa, uint64(n), zero)
				for i := range n {
					held = append(held, piece{pa + uint64(i)<<12, overheadOf(4), false})
				}
			}
		case 4, 5:
			if len(held) == 0 {
				continue
			}
			i := r.IntN(len(held))
			p := held[i]
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
			n := uint64(1)
			if p.block {
				n = framesPerBlock
				freeBlock(p.pa, p.o)
			} else {
				freeFrame(p.pa, p.o)
			}
			for f := p.pa >> 12; f < p.pa>>12+n; f++ {
				delete(owned, f)
			}
		default:
			if i, w, had := takeDirty(); had != 0 {
				done := had
				if r.IntN(4) == 0 { // it was interrupted
					done &= r.Uint64()
				}
				for k := range uint64(64) {
					if done>>k&1 != 0 {
						delete(dirty, uint64(i)*framesPerBlock+uint64(w)*64+k)
					}
				}
				putClean(i, w, had, done)
			}
		}
		if step%100 == 0 {
			checkFrames(t)
		}
	}
	for _, p := range held {
		if p.block {
			freeBlock(p.pa, p.o)
		} else {
			freeFrame(p.pa, p.o)
		}
	}
	for o := range frameOwners {
		owner(o).letGo(never)
	}
	checkFrames(t)
	if frames.freeCount != frames.total || frames.promised != 0 {
		t.Errorf("%d of %d are free, %d promised", frames.freeCount, frames.total, frames.promised)
	}
}

func TestAVMTakesOnlyWhatIsSetAsideForIt(t *testing.T) {
	testFrames(t, 5) // block 0 isn't whole
	o := memoryOf(0)
	if pa, _ := takeFrame(o); pa != 0 {
		t.Fatal("it took a frame that wasn't set aside")
	}
	if !o.setAside(511, 0) {
		t.Fatal("there is room")
	}
	if pa, _ := takeBlock(o); pa != 0 {
		t.Fatal("it took a block and has less")
	}
	const left = 4 * framesPerBlock // and 511, of which all are set aside
	if o.setAside(left+1, 0) || o.setAside(left, 1) || o.setAside(never, 0) {
		t.Error("more was set aside than there is")
	}
	if !o.setAside(1, left-1) {
		t.Error("there is room")
	}
	pa, _ := takeBlock(o)
	if n, budget := o.holds(); pa == 0 || n != framesPerBlock || budget != 0 || frames.promised != 0 {
		t.Errorf("%d held, %d set aside, %d promised", n, budget, frames.promised)
	}
	o.keep(framesPerBlock, 100) // it reserves 100
	freeBlock(pa, o)
	if n, budget := o.holds(); n != 0 || budget != 100 {
		t.Errorf("after giving all back: %d held, %d set aside, want 100", n, budget)
	}
	checkFrames(t)
}

func TestConsecutiveFramesSplitNoBlockWhileASplitOneHasThem(t *testing.T) {
	testFrames(t, 8)
	o := overheadOf(0)
	o.setAside(100, 0)
	for range 200 {
		if pa, _ := takePages(2, o); pa == 0 {
			t.Fatal("there is room")
		}
	}
	if n, budget := o.holds(); n != 400 || budget != 0 || frames.promised != 0 {
		t.Errorf("%d held, %d set aside, %d promised: it took more than it was given", n, budget, frames.promised)
	}
	whole := 0
	for i := range frames.n {
		if blockAt(i).count == framesPerBlock {
			whole++
		}
	}
	if whole < 7 {
		t.Errorf("%d of 7 blocks are whole: 400 frames fit the one that isn't", whole)
	}
	if pa, _ := takePages(framesPerBlock, o); pa%(framesPerBlock<<12) != 0 || pa == 0 {
		t.Errorf("512 frames at %#x", pa)
	}
	checkFrames(t)
}

func TestFramesComeFromTheHomeNodeWhileThereAreAny(t *testing.T) {
	testFrames(t, 12, 0, 4, 8)
	o := memoryOf(7)
	frameOwners[o].home = 1
	o.setAside(11*framesPerBlock, 0)
	var got []uint8
	for range 11 {
		pa, _ := takeBlock(o)
		got = append(got, blockAt(uint32(pa>>21)).node)
	}
	for i, want := range []uint8{1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0} {
		if got[i] != want {
			t.Fatalf("blocks came from nodes %v", got)
		}
	}
	if run := takeRun(2, o); run != 0 {
		t.Error("a run where nothing is free")
	}
}

func TestARunIsOfOneNodeAndAligned(t *testing.T) {
	testFrames(t, 16, 0, 6)
	o := memoryOf(1)
	o.setAside(15*framesPerBlock, 0)
	frameOwners[o].home = 1
	if pa := takeRun(4, o); pa != 8<<21 {
		t.Errorf("at %#x, want block 8: 4 to 7 are of two nodes", pa)
	}
	if pa := takeRun(8, o); pa != 0 {
		t.Errorf("at %#x: there is none", pa)
	}
	checkFrames(t)
}

func TestIdleTimeZeroesWhatWasGivenBackFirst(t *testing.T) {
	testFrames(t, 64)
	scrubber.Low, scrubber.High = 512, 1024
	o := memoryOf(0)
	o.setAside(8*framesPerBlock, 0)
	var held []uint64
	for range 8 {
		pa, _ := takeBlock(o)
		held = append(held, pa)
	}
	for _, pa := range held {
		freeBlock(pa, o)
	}
	for {
		i, w, had := takeDirty()
		if had == 0 {
			break
		}
		if _, _, second := takeDirty(); second != 0 {
			t.Fatal("two processors zero at once")
		}
		if frames.soiled > 0 && !blockAt(i).used {
			t.Fatalf("block %d, which nobody had, comes before those that somebody had", i)
		}
		putClean(i, w, had, had)
	}
	checkFrames(t)
	if frames.clean != 8*framesPerBlock || frames.soiled != 0 {
		t.Errorf("%d frames are clean, %d soiled", frames.clean, frames.soiled)
	}
	for range 8 {
		o.setAside(framesPerBlock, 0)
		if _, zero := takeBlock(o); !zero {
			t.Error("a VM gets a dirty block while there are clean ones")
		}
	}
}
