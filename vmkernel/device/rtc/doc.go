// Package rtc models the MC146818A real-time clock with its CMOS memory
// (Motorola MC146818A data sheet), as PCs have it at ports 70H and 71H.
//
// The rules that it keeps: the clock doesn't tick. The date is the host's
// (UTC) plus an offset that the guest's writes change, worked out when a
// register is read, and the interrupt flags are worked out from the time
// that passed. The device asks for a call of Tick only while an enabled
// interrupt is to come, and never more often than MinTick.
//
// The VM's exit loop calls it through the device.Bus, and the host's timer
// calls Tick. It must never block, and never change the host's clock.
package rtc
