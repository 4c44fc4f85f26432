// Package crowd is a network for tests: a switch with a machine on it, an administrator, and a crowd of hosts that flood the
// machine and don't play by the rules.
//
// The rule that it keeps: the crowd goes as fast as the machine's card takes frames and no faster, so that what is measured is
// the machine and not a buffer that runs over in front of it. Tests in vmkernel/api/server call it with a card in memory, and
// those of test/e2e with an emulated one, whose frames come and go as UDP datagrams.
package crowd
