package server

import "keel/vmkernel/api/backend"

// handlers serve the routes of api.Routes, by name.
var handlers = map[string]handler{
	"GetVersion": getVersion,
	"GetOpenAPI": getOpenAPI,

	"GetHost":        getHost,
	"GetHostLog":     getHostLog,
	"GetMetrics":     getMetrics,
	"GetSupport":     getSupport,
	"ShutdownHost":   stopHost("host.shutdown", false),
	"RestartHost":    stopHost("host.restart", true),
	"GetTime":        getTime,
	"SetTime":        setTime,
	"GetNetwork":     getNetwork,
	"SetNetwork":     setNetwork,
	"ConfirmNetwork": confirmNetwork,
	"ListWorlds":     listWorlds,

	"ListPools": listPools,
	"GetPool":   getPool,
	"SetPool":   setPool,

	"ListVMs":       listVMs,
	"CreateVM":      createVM,
	"GetVM":         getVM,
	"UpdateVM":      updateVM,
	"DeleteVM":      deleteVM,
	"StartVM":       longAct("vm.start", backend.VM.Start, starting),
	"ShutdownVM":    longAct("vm.shutdown", backend.VM.Shutdown, shuttingDown),
	"KillVM":        longAct("vm.kill", backend.VM.Kill, ending),
	"PauseVM":       pauseVM,
	"ResumeVM":      quickAct(backend.VM.Resume),
	"ResetVM":       quickAct(backend.VM.Reset),
	"SendNMI":       quickAct(backend.VM.NMI),
	"GetVMStats":    getVMStats,
	"OpenConsole":   openConsole,
	"GetConsoleLog": getConsoleLog,

	"GetEvents": getEvents,

	"ListImages":  listImages,
	"CreateImage": createImage,
	"GetImage":    getImage,
	"HeadImage":   headImage,
	"AppendImage": appendImage,
	"DeleteImage": deleteImage,

	"ListOperations":  listOperations,
	"GetOperation":    getOperation,
	"WaitOperation":   waitOperation,
	"CancelOperation": cancelOperation,

	"GetTrust":           getTrust,
	"Revoke":             revoke,
	"TrustCA":            trustCA,
	"DistrustCA":         distrustCA,
	"LockDown":           lockDown,
	"ProveHost":          proveHost,
	"SetHostCertificate": setHostCertificate,
	"ClaimHost":          claimHost,

	"GetCheckpoint": getCheckpoint,
	"GetRecords":    getRecords,
	"FollowRecords": followRecords,
	"GetProof":      getProof,
	"GetForwarding": getForwarding,
	"SetForwarding": setForwarding,
}
