package audit

// Budget is what a log takes at most, bytes: record data, maxChunks * chunkSize, 5 MiB; hashes, 2 MiB at 2^40 records
// (tree.go's rings: 1 MiB below level 5, 32 KiB each above); pinned hashes and indexes, 1 MiB. That is a day or two
// of a busy host's acts (two records of 300 bytes each, 8,000 acts), and an eighth of what the host may take at rest.
const Budget = 8 << 20

// Record data is kept and dropped by chunks.
const (
	chunkSize    = 64 << 10
	maxChunks    = 80
	chunkRecords = 204
	maxRecords   = maxChunks * chunkRecords // less than ring0: records that are kept have their hashes
)

// chunk holds consecutive records.
type chunk struct {
	first int64
	data  []byte   // at most chunkSize
	ends  []uint32 // of each record in data
	acts  bool     // it has records of more than reads, and of what was counted
}

func (c *chunk) next() int64 { return c.first + int64(len(c.ends)) }

// record returns one record of the chunk. It stays as it is as long as the chunk is in the store.
func (c *chunk) record(seq int64) []byte {
	i := seq - c.first
	start := uint32(0)
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.data[start:c.ends[i]:c.ends[i]]
}

// store holds the data of the latest records. Its zero value is empty and begins with record 0.
type store struct {
	chunks []*chunk // oldest first; all but the last are full
	spare  *chunk
}

// first is the number of the first record that is kept, next that of the next one.
func (s *store) first() int64 {
	if len(s.chunks) == 0 {
		return 0
	}
	return s.chunks[0].first
}

func (s *store) next() int64 {
	if len(s.chunks) == 0 {
		return 0
	}
	return s.last().next()
}

// last is the chunk that grows. There is one.
func (s *store) last() *chunk { return s.chunks[len(s.chunks)-1] }

// fits says whether a record of n bytes goes into the last chunk.
func (s *store) fits(n int) bool {
	if len(s.chunks) == 0 {
		return false
	}
	c := s.last()
	return len(c.data)+n <= chunkSize && len(c.ends) < chunkRecords
}

// add appends a record's data.
func (s *store) add(data []byte) {
	if !s.fits(len(data)) {
		c := s.spare
		if s.spare = nil; c == nil {
			c = &chunk{data: make([]byte, 0, chunkSize), ends: make([]uint32, 0, chunkRecords)}
		}
		c.first, c.data, c.ends, c.acts = s.next(), c.data[:0], c.ends[:0], false
		s.chunks = append(s.chunks, c)
	}
	c := s.last()
	c.data = append(c.data, data...)
	c.ends = append(c.ends, uint32(len(c.data)))
}

// drop gives up the oldest chunk and says which records it held. There are at least two.
func (s *store) drop() (from, to int64) {
	c := s.chunks[0]
	copy(s.chunks, s.chunks[1:])
	s.chunks[len(s.chunks)-1] = nil
	s.chunks = s.chunks[:len(s.chunks)-1]
	s.spare = c
	return c.first, c.next()
}

// from returns how many chunks hold records from seq on.
func (s *store) from(seq int64) int {
	n := 0
	for i := len(s.chunks) - 1; i >= 0 && s.chunks[i].next() > seq; i-- {
		n++
	}
	return n
}

// find returns the chunk with record seq, which is kept.
func (s *store) find(seq int64) *chunk {
	for i := len(s.chunks) - 1; ; i-- {
		if c := s.chunks[i]; c.first <= seq {
			return c
		}
	}
}
