package config

import (
	"net"
	"strconv"
)

// Metrics says where the worker tells about itself. It is off by default.
type Metrics struct {
	// HOST:PORT of /metrics, /healthz and /readyz, such as 127.0.0.1:9464; without a
	// host: this machine only. Left out, nothing listens.
	Address string `yaml:"address"`
}

func (m *Metrics) check() []fault {
	k := &checks{at: "metrics"}
	if m.Address != "" {
		_, port, err := net.SplitHostPort(m.Address)
		n, notNumber := strconv.Atoi(port)
		k.require(err == nil && notNumber == nil && n >= 0 && n <= 65535, "address", "%q is not of the form HOST:PORT, such as 127.0.0.1:9464", m.Address)
	}
	return k.faults
}
