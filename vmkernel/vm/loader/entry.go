package loader

// A Mode is the processor mode that a kernel starts in.
type Mode uint8

// The modes of Entry.
const (
	Protected32 Mode = iota + 1 // protected mode, flat 32-bit segments, no paging
	Long64                      // 64-bit mode, the first 4 GiB mapped one to one
)

func (m Mode) String() string {
	switch m {
	case Protected32:
		return "32-bit protected mode"
	case Long64:
		return "64-bit mode"
	}
	return "unknown mode"
}

// A Segment is a segment register with its hidden part. Access has the
// format of the VMCS guest access-rights fields (SDM 3C 24.4.1).
type Segment struct {
	Selector uint16
	Base     uint64
	Limit    uint32 // in bytes, whatever the granularity
	Access   uint32
}

// An Entry is the state in which a guest's boot processor starts. Registers
// that it doesn't name are 0; the IDT has limit 0.
type Entry struct {
	Format Format
	Mode   Mode

	RIP, RSP, RFLAGS uint64
	RAX, RBX, RSI    uint64
	CR0, CR3, CR4    uint64
	EFER             uint64
	GDTBase          uint64
	GDTLimit         uint16
	CS, DS, ES, SS   Segment
	FS, GS           Segment
	TR, LDTR         Segment
}

// Selectors that the Linux boot protocol names __BOOT_CS and __BOOT_DS. The
// other protocols leave them open.
const (
	bootCS = 0x10
	bootDS = 0x18
)

// Access rights of the segments (SDM 3C 24.4.1, table 24-2): type, S, P in
// the low byte, then L (bit 13), D/B (14) and G (15).
const (
	accessCode64   = 0xA09B // execute/read, accessed, 64-bit
	accessCode32   = 0xC09B // execute/read, accessed, 32-bit, 4 KiB units
	accessData     = 0xC093 // read/write, accessed, 32-bit, 4 KiB units
	accessTSS      = 0x008B // busy TSS, which VM entry asks for
	accessUnusable = 0x10000
)

// Bits of the control registers and of EFER.
const (
	cr0PE   = 1 << 0
	cr0ET   = 1 << 4
	cr0PG   = 1 << 31
	cr4PAE  = 1 << 5
	eferLME = 1 << 8
	eferLMA = 1 << 10

	rflagsFixed = 1 << 1 // always set; IF, TF and VM are clear
)

// entry returns the part of an entry state that all formats have, with a GDT
// and a page of stack in the guest's memory.
func (j *job) entry(format Format, mode Mode, rip uint64) (Entry, error) {
	const flat = 0xFFFFFFFF
	data := Segment{Selector: bootDS, Limit: flat, Access: accessData}
	e := Entry{
		Format: format, Mode: mode,
		RIP: rip, RFLAGS: rflagsFixed,
		CR0: cr0PE | cr0ET,
		CS:  Segment{Selector: bootCS, Limit: flat, Access: accessCode32},
		DS:  data, ES: data, SS: data, FS: data, GS: data,
		TR:   Segment{Limit: 0x67, Access: accessTSS},
		LDTR: Segment{Access: accessUnusable},
	}
	if mode == Long64 {
		e.CS.Access = accessCode64
		e.CR0 |= cr0PG
		e.CR4 = cr4PAE
		e.EFER = eferLME | eferLMA
		tables, err := j.identityMap()
		if err != nil {
			return Entry{}, err
		}
		e.CR3 = tables
	}
	var gdt [bootDS + 8]byte
	le.PutUint64(gdt[bootCS:], e.CS.descriptor())
	le.PutUint64(gdt[bootDS:], e.DS.descriptor())
	base, err := j.putLow(gdt[:], 16, "GDT")
	if err != nil {
		return Entry{}, err
	}
	e.GDTBase, e.GDTLimit = base, uint16(len(gdt)-1)
	stack, err := j.allocLow(pageSize, pageSize, "stack")
	if err != nil {
		return Entry{}, err
	}
	e.RSP = stack + pageSize
	return e, nil
}

// descriptor returns the 8 bytes of the GDT from which s would be loaded
// (SDM 3A 3.4.5).
func (s *Segment) descriptor() uint64 {
	const granularity = 1 << 15
	limit := uint64(s.Limit)
	if s.Access&granularity != 0 {
		limit >>= 12
	}
	return limit&0xFFFF | s.Base&0xFFFFFF<<16 | uint64(s.Access&0xFF)<<40 |
		limit>>16&0xF<<48 | uint64(s.Access>>12&0xF)<<52 | s.Base>>24&0xFF<<56
}

// identityMap writes page tables that map the first 4 GiB one to one, in
// 2 MiB pages since not every processor model has larger ones, and returns
// the value for CR3. Kernel, zero page and command line all lie below 3 GiB.
func (j *job) identityMap() (uint64, error) {
	const (
		present, writable, large = 1 << 0, 1 << 1, 1 << 7
		gib, entries, entrySize  = 4, 512, 8
		largePage                = 2 << 20
	)
	// One PML4, one PDPT, and a page directory for each GiB.
	base, err := j.allocLow((2+gib)*pageSize, pageSize, "page tables")
	if err != nil {
		return 0, err
	}
	pdpt, directories := base+pageSize, base+2*pageSize
	b := make([]byte, (2+gib)*pageSize)
	le.PutUint64(b, pdpt|present|writable)
	for i := range uint64(gib) {
		le.PutUint64(b[pageSize+i*entrySize:], directories+i*pageSize|present|writable)
	}
	for i := range uint64(gib * entries) {
		le.PutUint64(b[2*pageSize+i*entrySize:], i*largePage|present|writable|large)
	}
	return base, j.m.WriteAt(b, base)
}
