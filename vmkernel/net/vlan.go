package net

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"

	"keel/drivers/nic"
)

// IEEE 802.1Q: a tag stands between a frame's addresses and its type.
const (
	tagAt   = 12
	tagType = 0x8100
	tagID   = 0xFFF // the bits of a tag that name the VLAN; 0 is none, only a priority
)

// MaxVLAN is the highest VLAN; 1 is the lowest.
const MaxVLAN = 4094

// untag takes the tag off a frame of the host's VLAN, and says whether the frame is of the host's
// network. What the card says of a tagged frame's checksum isn't relied on: not all look behind a tag.
func (l *link) untag(frame *buffer.View, summed *bool) bool {
	b, want := frame.AsSlice(), uint16(l.vlan.Load())
	if binary.BigEndian.Uint16(b[tagAt:]) != tagType {
		return want == 0
	}
	if len(b) < nic.HeaderSize+nic.TagSize || binary.BigEndian.Uint16(b[tagAt+2:])&tagID != want {
		return false
	}
	copy(b[nic.TagSize:], b[:tagAt])
	frame.TrimFront(nic.TagSize)
	*summed = false
	return true
}

// send sends a frame, in the host's VLAN where it is in one.
func (l *link) send(f *nic.Frame) bool {
	if id := uint16(l.vlan.Load()); id != 0 {
		first := f.Parts[0]
		tag := binary.BigEndian.AppendUint16(make([]byte, 0, nic.TagSize), tagType)
		tag = binary.BigEndian.AppendUint16(tag, id)
		f.Parts = append([][]byte{first[:tagAt], tag, first[tagAt:]}, f.Parts[1:]...)
		if f.Sum != (nic.Checksum{}) {
			f.Sum.Start += nic.TagSize
		}
	}
	return l.card().Send(f)
}
