// Package backend is what stands behind the API: virtual machines and a host, as interfaces.
//
// The rule: it says what vmkernel/api/server asks for and nothing of who answers. vmkernel/api/machines and cmd/keel do on a
// machine, vmkernel/api/apitest in tests.
package backend
