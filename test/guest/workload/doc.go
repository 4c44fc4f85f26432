// Workload is a Linux guest's /init that checks the machine it runs on and says what it found:
//
//	WORKLOAD cpus=2 mem=230MiB
//	WORKLOAD memory ok 180MiB sum=5f1c6e0a2b94d377
//	...
//	WORKLOAD PASS
//
// or `WORKLOAD FAIL <check>: <why>`. Then it ends the guest. Words on the kernel's command line
// change what it does: workload.quick makes each check short enough for an emulator that runs
// 40 million instructions a second, workload.only=memory,clock takes some checks only (none: none),
// workload.wait=30s is how long the check yield takes, which only runs where it is named,
// workload.end=poweroff|reboot|halt|panic says how it ends.
//
// The rule that it keeps: a check fails only when the machine did something that no x86 machine may
// do, however slow or busy it is; so times have generous upper bounds and exact lower ones.
package main
