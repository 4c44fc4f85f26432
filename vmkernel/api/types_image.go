package api

import "time"

// Image is a file that VMs start with: a kernel, an initrd, a module.
type Image struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`     // unique; what a VM's description names
	Size     uint64    `json:"size"`     // bytes
	SHA256   string    `json:"sha256"`   // 64 lower-case hexadecimal digits
	Received uint64    `json:"received"` // bytes that are there: where an upload goes on
	State    string    `json:"state"`    // uploading, or ready
	Created  time.Time `json:"created"`
	Used     []string  `json:"used,omitempty"` // names of the VMs whose descriptions name it
}

// ImageCreate begins an upload. Its contents follow by PATCH, in order, with the header Upload-Offset.
type ImageCreate struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Size   uint64 `json:"size"`
	SHA256 string `json:"sha256"`
}

// Images is the answer to a list of images.
type Images struct {
	Images []Image `json:"images"`
	Used   uint64  `json:"used"` // bytes
	Free   uint64  `json:"free"` // bytes
}

// Limits of an upload.
const (
	MaxChunk     = 8 << 20 // bytes of one PATCH
	UploadOffset = "Upload-Offset"
	UploadLength = "Upload-Length"
)
