// Package e2e tests what Keel promises, on the machines that it runs on: QEMU, which emulates AMD-V,
// and Bochs, which emulates VT-x. Each test boots the image, gives it a seed, and judges what the
// host says on its serial port.
//
// The rule that it keeps: a test asserts on what a user can see, one machine runs at a time, and each
// has a time limit. Machines are shared by as many virtual machines as a test can judge apart.
package e2e
