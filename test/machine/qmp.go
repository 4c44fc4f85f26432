package machine

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// qmpSocket is the file in a machine's folder where its QEMU takes commands.
const qmpSocket = "qmp.sock"

// QMP are arguments for QEMU.Extra that have it take commands, see Command.
func QMP() []string { return []string{"-qmp", "unix:" + qmpSocket + ",server=on,wait=off"} }

// Command has QEMU execute a command of its machine protocol.
func (p *Process) Command(name string, arguments any) error {
	conn, err := net.DialTimeout("unix", filepath.Join(p.dir, qmpSocket), 5*time.Second)
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting any
	if err := in.Decode(&greeting); err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	for _, c := range []map[string]any{{"execute": "qmp_capabilities"}, {"execute": name, "arguments": arguments}} {
		if err := out.Encode(c); err != nil {
			return fmt.Errorf("machine: %w", err)
		}
		for {
			var answer map[string]any
			if err := in.Decode(&answer); err != nil {
				return fmt.Errorf("machine: %w", err)
			}
			if e, bad := answer["error"]; bad {
				return fmt.Errorf("machine: %v: %v", c["execute"], e)
			}
			if _, done := answer["return"]; done {
				break // the others are events
			}
		}
	}
	return nil
}
