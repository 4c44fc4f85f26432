// Package machines puts vmkernel/vm's virtual machines behind the interfaces of vmkernel/api/backend: its types become
// those of the API, and its errors codes.
//
// cmd/keel makes one of its Manager. It must hold no policy and keep no state of its own.
package machines
