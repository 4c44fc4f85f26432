package vmx

import (
	"unsafe"

	"keel/arch/amd64"
	"keel/arch/amd64/virt"
)

// Offsets and constants of other packages for the assembly, which sees them as const_NAME.
const (
	stateGPR      = unsafe.Offsetof(virt.State{}.GPR)
	stateX14      = unsafe.Offsetof(virt.State{}.X14)
	stateX15      = unsafe.Offsetof(virt.State{}.X15)
	stateCR2      = unsafe.Offsetof(virt.State{}.CR2)
	stateXCR0     = unsafe.Offsetof(virt.State{}.XCR0)
	stateDR       = unsafe.Offsetof(virt.State{}.DR)
	stateDR6      = unsafe.Offsetof(virt.State{}.DR6)
	stateSTAR     = unsafe.Offsetof(virt.State{}.STAR)
	stateLSTAR    = unsafe.Offsetof(virt.State{}.LSTAR)
	stateSFMASK   = unsafe.Offsetof(virt.State{}.SFMASK)
	stateKernelGS = unsafe.Offsetof(virt.State{}.KernelGSBase)
	stateKind     = unsafe.Offsetof(virt.State{}.Exit) + unsafe.Offsetof(virt.Exit{}.Kind)
	stateReason   = unsafe.Offsetof(virt.State{}.Exit) + unsafe.Offsetof(virt.Exit{}.Reason)
	stateLen      = unsafe.Offsetof(virt.State{}.Exit) + unsafe.Offsetof(virt.Exit{}.Len)
	stateQual     = unsafe.Offsetof(virt.State{}.Exit) + unsafe.Offsetof(virt.Exit{}.Qual)
	statePort     = unsafe.Offsetof(virt.State{}.Exit) + unsafe.Offsetof(virt.Exit{}.Port)

	kindCPUID = virt.KindCPUID
	kindIO    = virt.KindIO

	directMap   = uint64(amd64.DirectMap)
	hostXCR0    = virt.HostXCR0
	msrFSBase   = amd64.MSR_FS_BASE
	msrGSBase   = amd64.MSR_GS_BASE
	msrSTAR     = amd64.MSR_STAR
	msrLSTAR    = amd64.MSR_LSTAR
	msrSFMASK   = amd64.MSR_SFMASK
	msrKernelGS = amd64.MSR_KERNEL_GS_BASE
)

// enter writes Port, Size and In, with String and those after it zero, as one quadword.
var (
	_ [unsafe.Offsetof(virt.Exit{}.Port) + 2 - unsafe.Offsetof(virt.Exit{}.Size)]struct{}   = [0]struct{}{}
	_ [unsafe.Offsetof(virt.Exit{}.Port) + 3 - unsafe.Offsetof(virt.Exit{}.In)]struct{}     = [0]struct{}{}
	_ [unsafe.Offsetof(virt.Exit{}.Port) + 4 - unsafe.Offsetof(virt.Exit{}.String)]struct{} = [0]struct{}{}
	_ [unsafe.Offsetof(virt.Exit{}.Vector) - 8 - unsafe.Offsetof(virt.Exit{}.Port)]struct{} = [0]struct{}{}
)
