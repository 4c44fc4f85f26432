package seed

import "keel/vmkernel/audit"

// Audit says where the host's audit log is sent, from its boot on: see package audit. The zero value sends it nowhere.
type Audit struct {
	Collector *audit.Collector `json:"collector,omitempty"`
}

// audit decodes the key `audit`.
func (d *Decoder) audit(host *object) (a Audit) {
	group := host.group("audit")
	if n := group.get("collector"); n != nil {
		a.Collector = d.collector(n)
	}
	group.done()
	return a
}

func (d *Decoder) collector(n *Node) *audit.Collector {
	o := d.object(n)
	c := &audit.Collector{}
	if address := o.require("address", "the collector's host, or host:port"); address != nil {
		c.Address, _ = d.text(address)
	}
	if name := o.get("name"); name != nil {
		c.Name, _ = d.text(name)
	}
	if ca := o.get("ca"); ca != nil {
		var ok bool
		if c.CA, ok = d.text(ca); ok && d.Text != nil {
			var err error
			if c.CA, err = d.Text(ca); err != nil {
				d.fail(ca, "%s", err)
				return c
			}
		}
	}
	if pin := o.get("pin"); pin != nil {
		c.Pin = string(d.fingerprint(pin))
	}
	c.Bare = o.boolean("bare", false)
	o.done()
	if len(d.problems) == 0 {
		if err := c.Check(); err != nil {
			d.fail(n, "%s", err)
		}
	}
	return c
}
