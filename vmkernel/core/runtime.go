package core

import "keel/arch/amd64"

// The runtime's first thread is started as Linux starts a program: at its entry point, on a stack
// with the arguments, the environment and the auxiliary vector.
const (
	mainStackTop  = 0x6FFF_FFFF_0000
	mainStackSize = 256 << 10

	atPageSize    = 6
	atRandom      = 25
	atSysinfoEHDR = 33
)

func runtimeEntryPC() uintptr
func vdsoAddress() uintptr

// For package goos.
func vdsoMonotonic() int64
func vdsoRealtime() int64

// upperLimit is how much memory the upper half may map at most: a quarter of the machine's, at
// least 96 MiB and at most 1 GiB, in pages.
func upperLimit() uint64 {
	return min(max(frames.total/4, 96<<20/amd64.PageSize), 1<<30/amd64.PageSize)
}

func startRuntime() {
	space.next = mmapBase
	space.limit = upperLimit()
	addTail()
	lo := uintptr(mainStackTop - mainStackSize)
	if sysMmap(lo, mainStackSize, protRW, mapFixed|mapAnonymous) < 0 || !ensure(mainStackTop-amd64.PageSize, amd64.PageSize, true) {
		die("too little memory: no room for the Go runtime")
	}
	// From the top: 16 random bytes, the name, the environment, and below them the vectors.
	const (
		randomAt = mainStackTop - 16
		nameAt   = randomAt - 16
		limitAt  = nameAt - 48
		vectors  = limitAt - 16*8
	)
	*at[uint64](randomAt) = random()
	*at[uint64](randomAt + 8) = random()
	*at[uint64](nameAt) = 'k' | 'e'<<8 | 'e'<<16 | 'l'<<24
	// The collector works harder before the heap meets the limit.
	putLimit(limitAt, (space.limit-space.limit/8)*amd64.PageSize)
	for i, v := range [...]uint64{
		1, nameAt, 0, // argc, argv
		limitAt, 0, // environment
		atPageSize, amd64.PageSize,
		atRandom, randomAt,
		atSysinfoEHDR, uint64(vdsoAddress()),
		0, 0,
	} {
		*at[uint64](vectors + 8*uintptr(i)) = v
	}
	sched.lock()
	w := newWorld(kindThread, sched.system)
	if w == nil {
		die("too little memory: no room for the Go runtime")
	}
	w.ctx.rip = uint64(runtimeEntryPC())
	w.ctx.rflags = 0x202
	w.ctx.gpr[4] = vectors
	w.ctx.full = fullInt
	wake(w)
	sched.unlock()
}

// putLimit writes the environment variable that tells the Go runtime how much memory it has, in
// bytes.
func putLimit(at uintptr, n uint64) {
	const name = "GOMEMLIMIT="
	for i := 0; i < len(name); i++ {
		putByteAt(at+uintptr(i), name[i])
	}
	at += uintptr(len(name))
	div := uint64(1)
	for n/div >= 10 {
		div *= 10
	}
	for ; div > 0; div /= 10 {
		putByteAt(at, '0'+byte(n/div%10))
		at++
	}
	putByteAt(at, 0)
}

func putByteAt(addr uintptr, b byte) { *at[byte](addr) = b }
