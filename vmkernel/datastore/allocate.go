package datastore

// An Allocator gives n zeroed bytes and the way to give them back.
type Allocator func(n int64) (b []byte, free func(), err error)

// Heap allocates on Go's heap: where that is all there is, and in tests.
func Heap(n int64) ([]byte, func(), error) { return make([]byte, n), func() {}, nil }
