// Package console is the people's side of a guest's serial port: what the guest has printed, who watches it, and who
// types.
//
// A Port keeps the last bytes that the guest printed, each at its offset since the VM was made: watchers begin where they
// like among what is kept, and one that is too slow is told how much it missed. One Writer at a time types, by name; who
// wants to type instead is told who does and since when, and may take over, which the former is told in turn. What is
// typed waits until the guest's UART has room, and comes no faster than over a fast serial line, for which guests have
// the buffers: so that a long paste arrives whole. Watchers and the writer stay while the guest reboots.
//
// The rules that it keeps: a guest never waits for people, nor does what it prints allocate; memory is bounded by the
// size of the ring, and there is none before the guest is first switched on; bytes are bytes: what shows them on a
// terminal must reckon with escape sequences.
//
// vmkernel/vm makes a Port for each serial port, gives it the UART and takes Put as the UART's output; vmkernel/api lets
// people in. It must know neither of them, nor who may do what.
package console
