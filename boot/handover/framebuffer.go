package handover

// FramebufferKind is how the screen is drawn on.
type FramebufferKind uint8

const (
	NoFramebuffer FramebufferKind = 0 // none was described; PVH has no such description
	RGB           FramebufferKind = 1 // pixels with colour fields
	Text          FramebufferKind = 2 // EGA text: 16 bits a cell, sizes in characters
	Indexed       FramebufferKind = 3 // pixels that select from a palette
)

// Framebuffer is the screen as the loader left it. Field positions are the number of the lowest
// bit in a pixel, sizes are in bits; both are 0 unless Kind is RGB.
type Framebuffer struct {
	Address       uint64
	Pitch         uint32 // bytes from one line to the next
	Width, Height uint32 // pixels, or characters where Kind is Text
	BitsPerPixel  uint8
	Kind          FramebufferKind

	RedPosition, RedSize     uint8
	GreenPosition, GreenSize uint8
	BluePosition, BlueSize   uint8
}

const maxScreen = 1 << 15 // pixels in one direction

// consistent reports whether drawing by the description stays within Pitch*Height bytes and a
// pixel's fields within the pixel.
func (f *Framebuffer) consistent() bool {
	if f.Address == 0 || f.Address >= PhysicalLimit ||
		f.Width-1 >= maxScreen || f.Height-1 >= maxScreen || f.Pitch > maxScreen*4 {
		return false
	}
	lineBits := uint64(f.Width) * uint64(f.BitsPerPixel)
	if lineBits == 0 || lineBits > uint64(f.Pitch)*8 {
		return false
	}
	switch f.Kind {
	case Text:
		return f.BitsPerPixel == 16
	case Indexed:
		return f.BitsPerPixel <= 8
	case RGB:
		b := f.BitsPerPixel
		return (b == 15 || b == 16 || b == 24 || b == 32) &&
			fieldFits(f.RedPosition, f.RedSize, b) &&
			fieldFits(f.GreenPosition, f.GreenSize, b) &&
			fieldFits(f.BluePosition, f.BlueSize, b)
	}
	return false
}

func fieldFits(position, size, bits uint8) bool {
	return size > 0 && uint(position)+uint(size) <= uint(bits)
}
