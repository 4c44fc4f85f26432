package server

import "sync"

// ring keeps the last of what has a number, from 1 on, for readers who come later or wait for more.
type ring[T any] struct {
	mu   sync.Mutex
	kept []T
	next uint64        // the next one's number
	more chan struct{} // closed with the next; nil where nobody waits
}

func (r *ring[T]) init(max int) {
	r.kept, r.next = make([]T, 0, max), 1
}

// add adds what make makes for its number.
func (r *ring[T]) add(make func(number uint64) T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := make(r.next)
	if len(r.kept) < cap(r.kept) {
		r.kept = append(r.kept, v)
	} else {
		r.kept[(r.next-1)%uint64(cap(r.kept))] = v
	}
	r.next++
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// last is the number of the latest, 0 if there was none.
func (r *ring[T]) last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - 1
}

// read returns what there is from a number on, at most as much as fits in to, and how many before it are gone. Where there is nothing,
// it returns what to wait for.
func (r *ring[T]) read(from uint64, to []T) (got []T, missed uint64, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next - uint64(len(r.kept))
	if from < first {
		missed, from = first-from, first
	}
	for ; from < r.next && len(got) < len(to); from++ {
		got = append(to[:len(got)], r.kept[(from-1)%uint64(cap(r.kept))])
	}
	if len(got) == 0 {
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more = r.more
	}
	return got, missed, more
}
