package config

import "path/filepath"

// Bandwidth bounds what all copies of the host together read from databases.
type Bandwidth struct {
	// Bytes a second that are read from databases, by all copies at once together; 0: no
	// limit. Each has an equal share.
	Limit Bytes `yaml:"limit"`
	// Less than `limit` while programs on this machine wait for its disks, and more
	// again when they do not. Linux only.
	Adaptive bool `yaml:"adaptive"`
	// Where it is adaptive, never less than that; left out, a tenth of `limit`. See that
	// each copy still ends within its `timeout` at its share of it.
	Floor Bytes `yaml:"floor"`
	// Where it is adaptive, what tells: a file of Linux' pressure stall information.
	// That of the service's own control group, its io.pressure, tells of nothing else.
	Pressure string `yaml:"pressure"`
}

// DefaultPressure tells of the whole machine.
const DefaultPressure = "/proc/pressure/io"

// leastRate bounds limits from below, in bytes a second: at less, one block takes
// minutes.
const leastRate = 64 << 10

func (b *Bandwidth) fillIn() {
	setDefault(&b.Pressure, DefaultPressure)
	if b.Adaptive && b.Limit > 0 {
		setDefault(&b.Floor, max(min(b.Limit, leastRate), b.Limit/10))
	}
}

func (b *Bandwidth) check() []fault {
	k := &checks{at: "bandwidth"}
	k.require(b.Limit == 0 || b.Limit >= leastRate, "limit", "%s is too little: at least %s a second, or 0 for no limit", b.Limit, Bytes(leastRate))
	k.require(!b.Adaptive || b.Limit != 0, "adaptive", "without a limit there is nothing to lower: set bandwidth.limit")
	k.require(b.Floor == 0 || b.Floor >= leastRate, "floor", "%s is too little: at least %s a second", b.Floor, Bytes(leastRate))
	k.require(b.Limit <= 0 || b.Floor <= b.Limit, "floor", "%s is more than the limit, %s", b.Floor, b.Limit)
	k.require(b.Adaptive || b.Floor == 0, "floor", "only an adaptive limit has one: set bandwidth.adaptive, or leave the key out")
	k.require(filepath.IsAbs(b.Pressure), "pressure", "%q is not an absolute path", b.Pressure)
	return k.faults
}

// Lowest is what a copy of the database has in bytes a second when the limits
// leave it least; 0: nothing limits it.
func (c *Config) Lowest(d *Database) Bytes {
	all := c.Bandwidth.Limit
	if c.Bandwidth.Adaptive {
		all = c.Bandwidth.Floor
	}
	share := all / Bytes(max(1, min(c.Copies, len(c.Databases))))
	switch {
	case share == 0:
		return d.Copy.Bandwidth
	case d.Copy.Bandwidth == 0:
		return share
	}
	return min(share, d.Copy.Bandwidth)
}
