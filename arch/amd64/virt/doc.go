// Package virt is the processor-independent face of hardware virtualisation: the state of a
// virtual processor, why it stopped, and what may be injected into it, in terms that Intel VT-x
// (package vmx) and AMD-V (package svm) share.
//
// Rule: plain data, no policy and no instruction. Everything here is of fixed layout without Go
// pointers, because a State lives in a page frame that the lower half writes and the upper half
// reads. vmx and svm fill it; vmkernel/core acts on it.
package virt
