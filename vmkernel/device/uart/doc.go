// Package uart models the 16550A UART (National Semiconductor PC16550D data
// sheet; section numbers in this package are its own) and assembles what a
// guest sends through one into lines for the host's log.
//
// The rules that it keeps: a transmitted byte leaves at once, so the
// transmitter is always empty; received bytes are never dropped on the host's
// side, because the UART asks for no more than fits; and of what a guest prints,
// nothing but printable text reaches the host's console (Lines).
//
// The VM's exit loop calls it through the device.Bus, from any vCPU's
// goroutine; the console calls Poke when somebody types. It must never block,
// allocate on an access, or use a timer: baud rate, parity and stop bits are
// stored and have no effect.
package uart
