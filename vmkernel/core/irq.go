package core

// deviceInterrupt is called for a vector that belongs to a driver.
func deviceInterrupt(v uint64) {}
