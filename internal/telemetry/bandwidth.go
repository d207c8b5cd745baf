package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"canvasback/internal/pace"
)

// bandwidth tells of the bound that the copies of a host share.
type bandwidth struct{ read func() (pace.Stats, bool) }

var (
	bandwidthLimit   = describe("bandwidth_limit_bytes_per_second", "The limit on what all copies of this host together read, as it is now. There is none without a limit.")
	bandwidthBytes   = describe("bandwidth_bytes_total", "Bytes that copies read from databases and their WALs within the limit.")
	bandwidthWaited  = describe("bandwidth_waited_seconds_total", "Time that copies waited for the limit, of all copies together.")
	bandwidthWaiting = describe("bandwidth_waiting", "Copies that wait for the limit now.")
	bandwidthStalled = describe("bandwidth_stalled_ratio", "Share of the last second looked at in which somebody waited for I/O, which an adaptive limit goes by. It is looked at while copies read.")
)

// Bandwidth adds what the bound did; false: there is none. It is called once.
func (m *Metrics) Bandwidth(read func() (pace.Stats, bool)) { m.ours.MustRegister(&bandwidth{read}) }

func (b *bandwidth) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bandwidthLimit, bandwidthBytes, bandwidthWaited, bandwidthWaiting, bandwidthStalled} {
		to <- d
	}
}

// Collect tells nothing where there is no bound.
func (b *bandwidth) Collect(to chan<- prometheus.Metric) {
	s, bound := b.read()
	if !bound {
		return
	}
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
		to <- prometheus.MustNewConstMetric(d, kind, v)
	}
	tell(bandwidthLimit, prometheus.GaugeValue, float64(s.Limit))
	tell(bandwidthBytes, prometheus.CounterValue, float64(s.Bytes))
	tell(bandwidthWaited, prometheus.CounterValue, s.Waited.Seconds())
	tell(bandwidthWaiting, prometheus.GaugeValue, float64(s.Waiting))
	if s.Stalled >= 0 {
		tell(bandwidthStalled, prometheus.GaugeValue, s.Stalled)
	}
}
