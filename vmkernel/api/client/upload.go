package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"keel/vmkernel/api"
)

// uploadTries is how often a piece is sent whose connection breaks.
const uploadTries = 5

// Upload has the host keep an image, going on where an earlier attempt ended. contents are read from there; progress, if
// somebody wants to know, hears how many bytes the host has.
func (c *Client) Upload(ctx context.Context, image api.ImageCreate, contents io.ReaderAt, progress func(received int64)) (api.Image, error) {
	var now api.Image
	if _, err := c.Post(ctx, "/v1/images", image, &now); err != nil {
		return now, err
	}
	path := "/v1/images/" + url.PathEscape(image.Name)
	for tries := 0; now.State == api.ImageUploading; {
		if progress != nil {
			progress(now.Received)
		}
		piece := min(now.Size-now.Received, api.MaxChunk)
		body := io.NewSectionReader(contents, now.Received, piece)
		header := http.Header{api.UploadOffset: {strconv.FormatInt(now.Received, 10)}, "Content-Type": {"application/octet-stream"}}
		var next api.Image
		_, err := c.Do(ctx, Request{Method: "PATCH", Path: path, Header: header, Body: body, Out: &next})
		switch kind := KindOf(err); {
		case err == nil:
			now, tries = next, 0
			continue
		case kind != Unreachable && kind != Timeout && errCode(err) != api.CodeOffset, ctx.Err() != nil:
			return now, err
		case tries == uploadTries:
			return now, err
		}
		tries++
		select {
		case <-time.After(time.Duration(tries) * 200 * time.Millisecond):
		case <-ctx.Done():
			return now, c.wrap(ctx, ctx.Err())
		}
		if _, err := c.Get(ctx, path, &next); err == nil {
			now = next
		}
	}
	if progress != nil {
		progress(now.Received)
	}
	return now, nil
}

func errCode(err error) api.Code {
	if e, ok := err.(*Error); ok {
		return e.Code
	}
	return ""
}
