package client

import (
	"context"
	"net/url"
	"time"

	"keel/vmkernel/api"
)

// Wait waits until an operation has ended, and tells of its progress, if somebody wants to know. What has failed is an
// error. When the context ends before, the operation goes on.
func (c *Client) Wait(ctx context.Context, o api.Operation, progress func(api.Operation)) (api.Operation, error) {
	for {
		if progress != nil {
			progress(o)
		}
		switch o.State {
		case api.OpSucceeded:
			return o, nil
		case api.OpFailed, api.OpCancelled:
			if o.Error == nil {
				return o, &Error{Kind: Other, Message: "the operation has " + o.State}
			}
			return o, Of(o.Error)
		}
		piece := "30s"
		if progress != nil {
			piece = "1s"
		}
		var now api.Operation
		if _, err := c.Get(ctx, "/v1/operations/"+url.PathEscape(o.ID)+"/wait?wait="+piece, &now); err != nil {
			if KindOf(err) != Unreachable || ctx.Err() != nil {
				return o, err
			}
			select { // the connection broke: the operation goes on
			case <-time.After(time.Second):
			case <-ctx.Done():
				return o, err
			}
			continue
		}
		o = now
	}
}
