package core

// pulseNMI presses the machine's dump button, whose wire is LINT1 of every local APIC: a guest has it be an NMI where it
// wants one (MP specification 1.4, 5.2), which of Linux's processors is the first.
func (m *machine) pulseNMI() {
	m.lock.lock()
	for i := uint32(0); i < m.nvcpu; i++ {
		v := at[vcpu](m.vcpus[i])
		v.lapic().LINT(1, true)
		v.lapic().LINT(1, false)
		v.notify()
	}
	m.lock.unlock()
}
