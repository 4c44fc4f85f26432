package loader

// The BIOS data area. There is no BIOS, but kernels that predate memory maps,
// or prepare to start processors before they read one (Xen), learn here how
// much memory lies below the firmware's, and where the UARTs are.
const (
	bdaStart      = 0x400
	bdaSize       = 0x100
	bdaCOM        = 0x00 // from bdaStart: ports of COM1 to COM4, 2 bytes each
	bdaBaseMemory = 0x13 // KiB below 640 KiB, 2 bytes
)

// biosData writes the BIOS data area. What it doesn't say is 0: above all,
// that there is no extended BIOS data area.
func (j *job) biosData() error {
	if err := j.space.claim(bdaStart, bdaSize, "BIOS data area"); err != nil {
		return err
	}
	var b [bdaSize]byte
	for i, port := range []uint16{0x3F8, 0x2F8, 0x3E8, 0x2E8} {
		le.PutUint16(b[bdaCOM+2*i:], port)
	}
	le.PutUint16(b[bdaBaseMemory:], firmwareStart/1024)
	return j.m.WriteAt(b[:], bdaStart)
}
