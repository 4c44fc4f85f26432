package api

import "time"

// Image is a file that VMs start with: a kernel, an initrd, a module. {image} is its name, with / written as %2F, or
// sha256: and its digest.
type Image struct {
	Name     string    `json:"name"`     // unique: a clean relative path; what a VM's description names
	Size     int64     `json:"size"`     // bytes
	SHA256   string    `json:"sha256"`   // 64 lower-case hexadecimal digits
	Received int64     `json:"received"` // bytes that are there: where an upload goes on
	State    string    `json:"state"`    // uploading, or ready
	ReadOnly bool      `json:"readOnly"` // it came with the seed
	Created  time.Time `json:"created"`
	Users    []string  `json:"users,omitempty"` // the VMs whose descriptions name it
}

// States of an Image.
const (
	ImageUploading = "uploading"
	ImageReady     = "ready"
)

// ImageCreate declares an image. Its contents follow by PATCH, in order, with the header Upload-Offset. The same
// declaration again is the same image, whose upload goes on where it ended.
type ImageCreate struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Images is the answer to a list of images.
type Images struct {
	Images []Image `json:"images"`
	Used   int64   `json:"used"` // bytes; those of the seed don't count
	Free   int64   `json:"free"` // bytes
}

// Limits of an upload.
const (
	MaxChunk     = 8 << 20 // bytes of one PATCH
	UploadOffset = "Upload-Offset"
	UploadLength = "Upload-Length"
)
