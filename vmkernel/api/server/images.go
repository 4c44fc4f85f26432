package server

import (
	"io"
	"net/http"
	"strconv"

	"keel/vmkernel/api"
	"keel/vmkernel/datastore"
)

// imageOf is what a caller sees of an image; users are VMs that he may not know of, if his role is limited.
func (c *call) imageOf(i datastore.Info) api.Image {
	out := api.Image{Name: i.Name, Size: i.Size, SHA256: i.SHA256, Received: i.Offset, State: api.ImageUploading, ReadOnly: i.ReadOnly, Created: i.Created.UTC()}
	if i.Complete {
		out.State = api.ImageReady
	}
	if !c.scoped() {
		out.Users = i.Users
	}
	return out
}

func listImages(c *call) (any, error) {
	usage := c.s.Images.Usage()
	list := c.s.Images.List()
	out := api.Images{Images: make([]api.Image, 0, len(list)), Used: usage.Used, Free: max(usage.Capacity-usage.Used, 0)}
	for _, i := range list {
		out.Images = append(out.Images, c.imageOf(i))
	}
	return out, nil
}

func createImage(c *call) (any, error) {
	in := c.in.(*api.ImageCreate)
	before, err := c.s.Images.Find(in.Name)
	had := err == nil && before.Name == in.Name
	info, err := c.s.Images.Create(datastore.Declaration{Name: in.Name, Size: in.Size, SHA256: in.SHA256})
	if err != nil {
		return nil, err
	}
	if had {
		c.status = http.StatusOK
	} else {
		c.s.hostEvent("image.created", info.Name, nil)
	}
	return c.imageOf(info), nil
}

func getImage(c *call) (any, error) {
	info, err := c.s.Images.Find(c.variable("image"))
	if err != nil {
		return nil, err
	}
	return c.imageOf(info), nil
}

func headImage(c *call) (any, error) {
	info, err := c.s.Images.Find(c.variable("image"))
	if err != nil {
		return nil, err
	}
	h := c.w.Header()
	h.Set(api.UploadOffset, strconv.FormatInt(info.Offset, 10))
	h.Set(api.UploadLength, strconv.FormatInt(info.Size, 10))
	return nil, nil
}

func appendImage(c *call) (any, error) {
	offset, err := strconv.ParseInt(c.r.Header.Get(api.UploadOffset), 10, 64)
	if err != nil || offset < 0 {
		return nil, failf(api.CodeInvalid, "the header %s has to say at which byte the upload goes on", api.UploadOffset)
	}
	if c.r.ContentLength > api.MaxChunk {
		return nil, failf(api.CodeTooLarge, "%d bytes are more than the %d that may come at once", c.r.ContentLength, api.MaxChunk)
	}
	c.rest()               // it waits for the network
	defer c.s.VMs.Hold()() // who uploads an image is going to start a VM: the host isn't idle
	info, err := c.s.Images.Append(c.variable("image"), offset, &chunk{c: c, left: api.MaxChunk})
	if err != nil {
		return nil, err
	}
	if info.Complete {
		c.s.hostEvent("image.ready", info.Name, nil)
	}
	return c.imageOf(info), nil
}

// chunk reads the body of an upload, giving the client time for each piece of it.
type chunk struct {
	c    *call
	left int64
}

func (u *chunk) Read(p []byte) (int, error) {
	if u.left == 0 {
		if n, err := u.c.r.Body.Read(p[:min(len(p), 1)]); n == 0 {
			return 0, err
		}
		return 0, failf(api.CodeTooLarge, "more than the %d bytes came that may come at once", api.MaxChunk)
	}
	u.c.extend(u.c.s.times.body, 0)
	n, err := u.c.r.Body.Read(p[:min(int64(len(p)), u.left)])
	u.left -= int64(n)
	if err != nil && err != io.EOF {
		err = failf(api.CodeTimeout, "the upload broke off: go on where the image ends")
	}
	return n, err
}

func deleteImage(c *call) (any, error) {
	name := c.variable("image")
	if err := c.s.Images.Delete(name); err != nil {
		return nil, err
	}
	c.s.hostEvent("image.deleted", name, nil)
	return nil, nil
}
