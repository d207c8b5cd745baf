package config

import (
	"net"
	"strconv"

	"canvasback/internal/failure"
)

// MetricsVariable names the environment variable with the address that Settle
// takes where nothing else says one. The images set it.
const MetricsVariable = "CANVASBACK_METRICS_ADDRESS"

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

// Settle puts the address of the flag --metrics-address in the file's place, and
// that of MetricsVariable where neither says one; empty are those that are not
// set. One that is of no use is failure.Usage.
func (m *Metrics) Settle(flag, variable string) error {
	from, address := "--metrics-address", flag
	if address == "" && m.Address == "" {
		from, address = MetricsVariable, variable
	}
	if address == "" {
		return nil
	}
	m.Address = address
	for _, f := range m.check() {
		return failure.Errorf(failure.Usage, "%s: %s", from, f.text)
	}
	return nil
}
