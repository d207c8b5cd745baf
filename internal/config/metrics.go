package config

import (
	"net"
	"strconv"
)

// Metrics says where the worker tells about itself. It is off by default.
type Metrics struct {
	Address string `yaml:"address"` // HOST:PORT of /metrics, /healthz and /readyz; without a host: loopback
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
