package mmio

// A place is where a memory operand is: one piece, or two if it crosses a page
// boundary.
type place struct {
	pieces [2]piece
	n      int
}

// A piece is part of an operand within one page.
type piece struct {
	gpa  uint64
	size uint8
	mmio bool // known to be no RAM
}

// locate finds the operand of size bytes at linear; exit is the
// guest-physical address that the instruction exited with. Most often that is
// what linear translates to, and no table need be walked: so it is taken to
// be if their offsets in the page agree. MOVS has two operands and agreement
// says nothing about which, so walks.
func (e *Emulator) locate(at *place, c *CPU, linear uint64, op *Op, write bool, exit uint64) error {
	size := op.Size
	first := size
	if room := pageSize - linear%pageSize; room < uint64(size) {
		first = uint8(room)
	}
	if first == size && linear%pageSize == exit%pageSize && op.Do != Move {
		at.n = 1
		at.pieces[0] = piece{exit, size, true}
		return nil
	}
	access := ForRead
	if write {
		access = ForWrite
	}
	at.n = 1
	at.pieces[0].size = first
	if first < size {
		at.n = 2
		at.pieces[1].size = size - first
	}
	for i := range at.n {
		p := &at.pieces[i&1]
		var err error
		if p.gpa, err = Translate(e.ram, c, linear, access); err != nil {
			return err
		}
		p.mmio = p.gpa/pageSize == exit/pageSize
		linear = nextPage(c, linear)
	}
	return nil
}

func (e *Emulator) load(at *place) uint64 {
	v := e.loadPiece(&at.pieces[0])
	if at.n == 2 {
		v |= e.loadPiece(&at.pieces[1]) << (8 * at.pieces[0].size)
	}
	return v
}

func (e *Emulator) store(at *place, v uint64) {
	e.storePiece(&at.pieces[0], v)
	if at.n == 2 {
		e.storePiece(&at.pieces[1], v>>(8*at.pieces[0].size))
	}
}

// loadPiece reads RAM, or a device where there is none.
func (e *Emulator) loadPiece(p *piece) uint64 {
	if !p.mmio {
		b := e.bytes[:p.size]
		if e.ram.ReadAt(b, p.gpa) == nil {
			var v uint64
			for i, x := range b {
				v |= uint64(x) << (8 * i)
			}
			return v
		}
	}
	return e.bus.Read(p.gpa, int(p.size)) & ones(p.size)
}

// storePiece writes RAM, or a device where there is none.
func (e *Emulator) storePiece(p *piece, v uint64) {
	v &= ones(p.size)
	if !p.mmio {
		b := e.bytes[:p.size]
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		if e.ram.WriteAt(b, p.gpa) == nil {
			return
		}
	}
	e.bus.Write(p.gpa, int(p.size), v)
}
