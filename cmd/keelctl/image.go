package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keel/cmd/keelctl/exit"
	"keel/cmd/keelctl/output"
	"keel/vmkernel/api"
	"keel/vmkernel/api/client"
	"keel/vmkernel/seed"
)

func (a *app) imageCommand() *cobra.Command {
	return nouns("image", "Send kernels and initrds to a host",
		`An image is a file that VMs start with: a kernel, an initrd, a module. VMs name images; those
of a host's seed are there from its start. What is sent here is kept until the host restarts.`,
		`  keelctl image upload vmlinuz
  keelctl image list`,
		a.imageUpload(), a.imageList(), a.imageDelete())
}

func (a *app) imageUpload() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "upload FILE...",
		Short: "Send files to a host",
		Long: `Send files to a host, where VMs can name them. The host checks their SHA-256. An upload
that was broken off goes on where it ended when the command is given again; a file that is
there already isn't sent twice. It needs the role operator.`,
		Example: `  keelctl image upload vmlinuz initrd.img
  keelctl image upload build/vmlinuz-6.1 --name vmlinuz`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("give a file, or several")
			}
			if name != "" && len(args) > 1 {
				return fmt.Errorf("--name is for one file, and there are %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(0, func(ctx context.Context, r *remote) error {
				return a.each(args, func(path string) error {
					info, err := describeFile(path)
					if err != nil {
						return err
					}
					as := name
					if as == "" {
						as = filepath.Base(path)
					}
					sent, err := a.upload(ctx, r, as, path, info)
					if err != nil {
						return err
					}
					if sent {
						a.note("%s: uploaded, %s", as, output.Size(uint64(info.Size)))
					} else {
						a.note("%s: was there already", as)
					}
					return nil
				})
			})
		},
	}
	a.remoteFlags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "the image's name (default: the file's, without its directory)")
	return cmd
}

func describeFile(path string) (seed.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return seed.FileInfo{}, err
	}
	defer f.Close()
	if stat, err := f.Stat(); err != nil || !stat.Mode().IsRegular() {
		return seed.FileInfo{}, fmt.Errorf("%s is not a regular file", path)
	}
	return seed.Describe(f)
}

// How an upload goes.
const (
	chunk        = 2 << 20          // bytes of one call: what is lost when it breaks off
	chunkTimeout = 60 * time.Second // for one call, over a slow line
	chunkTries   = 5                // that fail one after the other
)

// upload sends a file as the image of a name, and says whether it had to. It goes on where an earlier upload ended.
func (a *app) upload(ctx context.Context, r *remote, name, path string, info seed.FileInfo) (sent bool, err error) {
	var image api.Image
	create := api.ImageCreate{Name: name, Size: info.Size, SHA256: info.SHA256}
	short, cancel := context.WithTimeout(ctx, callTimeout)
	err = r.Post(short, client.Path("images"), create, &image)
	cancel()
	if err != nil || image.State == api.ImageReady {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b := a.newBar(name, info.Size, true)
	defer b.end()
	if image.Received > 0 {
		a.note("%s: goes on at %s of %s", name, output.Size(uint64(image.Received)), output.Size(uint64(info.Size)))
	}
	for tries := 0; image.State != api.ImageReady; {
		before := image.Received
		err := a.sendChunk(ctx, r, name, f, info.Size, &image, b)
		switch {
		case err == nil && (image.Received > before || image.State == api.ImageReady):
			tries = 0
			continue
		case err == nil:
			return false, fmt.Errorf("%s: the image %s stays at %d of %d bytes", r.Name(), name, image.Received, info.Size)
		}
		if a.ctx.Err() != nil {
			return false, exit.Errorf(exit.Interrupted, "interrupted at %s of %s: uploading the same file goes on where it ended",
				output.Size(uint64(image.Received)), output.Size(uint64(info.Size)))
		}
		if tries++; tries == chunkTries || ctx.Err() != nil || !transient(err) {
			return false, fmt.Errorf("%w; `keelctl image upload` of the same file goes on where it ended", err)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Duration(tries) * time.Second):
		}
		// The host says where it is.
		short, cancel := context.WithTimeout(ctx, callTimeout)
		if err := r.Get(short, client.Path("images", name), nil, &image); err != nil && !transient(err) {
			cancel()
			return false, err
		}
		cancel()
	}
	return true, nil
}

// sendChunk sends one part, from where the host is.
func (a *app) sendChunk(ctx context.Context, r *remote, name string, f *os.File, size int64, image *api.Image, b *bar) error {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	n := min(size-image.Received, chunk)
	part := make([]byte, n)
	if _, err := f.ReadAt(part, image.Received); err != nil {
		return fmt.Errorf("%s has become shorter: %w", f.Name(), err)
	}
	_, err := r.Call(ctx, client.Request{
		Method: http.MethodPatch,
		Path:   client.Path("images", name),
		Body:   b.reader(strings.NewReader(string(part)), image.Received),
		Size:   n,
		Header: [][2]string{{api.UploadOffset, fmt.Sprint(image.Received)}},
	}, image)
	return err
}

func (a *app) imageList() *cobra.Command {
	return shown(a, &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List a host's images",
		Long:    "List the images of a host, which VMs name them, and how much room is left. It needs the role viewer.",
		Example: "  keelctl image list",
		Args:    cobra.NoArgs,
	}, got("images"), func(images api.Images) error {
		return a.print(images, func(rows *output.Rows) { tableOfImages(rows, images) })
	})
}

func tableOfImages(r *output.Rows, images api.Images) {
	if len(images.Images) > 0 {
		r.Header("name", "size", "state", "sha256", "used by")
	}
	for _, i := range images.Images {
		state := output.State(i.State)
		if i.State == api.ImageUploading {
			state = output.Cell{Text: fmt.Sprintf("%d%% there", i.Received*100/max(i.Size, 1)), Style: output.Warn}
		} else if i.ReadOnly {
			state.Text = "seed's"
		}
		r.Row(i.Name, output.Size(uint64(i.Size)), state, i.SHA256[:min(16, len(i.SHA256))], strings.Join(i.Users, ", "))
	}
	r.Line("%s used, %s free", output.Size(uint64(images.Used)), output.Size(uint64(images.Free)))
}

func (a *app) imageDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "delete IMAGE...",
		Short:             "Delete images that no VM names",
		Long:              "Delete images, by their names or as sha256: and the digest. One that a VM names, or that came with the seed, is refused. It needs the role admin.",
		Example:           "  keelctl image delete vmlinuz-old",
		Args:              someOf("image"),
		ValidArgsFunction: a.completeImages,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.ask(callTimeout, func(ctx context.Context, r *remote) error {
				return a.each(args, func(name string) error {
					_, err := r.Call(ctx, client.Request{Method: http.MethodDelete, Path: client.Path("images", name)}, nil)
					if err == nil {
						a.note("%s: deleted", name)
					}
					return err
				})
			})
		},
	}
	a.remoteFlags(cmd)
	return cmd
}
