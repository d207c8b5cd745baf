package telemetry

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// sdkMetrics keep what Temporal's SDK counts, by the names that Temporal documents
// for Prometheus. The SDK gives metrics of one name different labels, so each
// series is a metric by itself, and the collector describes none beforehand.
type sdkMetrics struct {
	mu     sync.Mutex // guards series
	series map[string]prometheus.Metric
}

// latencies are the buckets of the SDK's timers, in seconds.
var latencies = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3 * 3600, 12 * 3600}

// SDK is what a client of Temporal counts with.
func (m *Metrics) SDK() client.MetricsHandler {
	s := &sdkMetrics{series: map[string]prometheus.Metric{}}
	m.registry.MustRegister(s)
	return &sdkHandler{metrics: s, tags: prometheus.Labels{}}
}

func (*sdkMetrics) Describe(chan<- *prometheus.Desc) {}

func (s *sdkMetrics) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.series))
	s.mu.Unlock()
	for _, m := range all {
		to <- m
	}
}

// of returns the series of that name and those labels, made if it is new.
func of[M prometheus.Metric](h *sdkHandler, name string, make func(name string) M) M {
	key := name
	for _, k := range slices.Sorted(maps.Keys(h.tags)) {
		key += "\xff" + k + "\xff" + h.tags[k]
	}
	h.metrics.mu.Lock()
	defer h.metrics.mu.Unlock()
	if m, ok := h.metrics.series[key].(M); ok {
		return m
	}
	m := make(name)
	h.metrics.series[key] = m
	return m
}

// help is the same for all: what each means is documented by Temporal.
const help = "Of Temporal's Go SDK."

type sdkHandler struct {
	metrics *sdkMetrics
	tags    prometheus.Labels
}

func (h *sdkHandler) WithTags(tags map[string]string) client.MetricsHandler {
	all := maps.Clone(h.tags)
	for k, v := range tags {
		all[plain(k)] = v
	}
	return &sdkHandler{h.metrics, all}
}

func (h *sdkHandler) Counter(name string) client.MetricsCounter {
	return sdkCounter{of(h, plain(name)+"_total", func(name string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: h.tags})
	})}
}

func (h *sdkHandler) Gauge(name string) client.MetricsGauge {
	return sdkGauge{of(h, plain(name), func(name string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: h.tags})
	})}
}

func (h *sdkHandler) Timer(name string) client.MetricsTimer {
	return sdkTimer{of(h, plain(name)+"_seconds", func(name string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: h.tags, Buckets: latencies})
	})}
}

type (
	sdkCounter struct{ prometheus.Counter }
	sdkGauge   struct{ prometheus.Gauge }
	sdkTimer   struct{ prometheus.Histogram }
)

// Inc ignores what is negative: a counter does not go back.
func (c sdkCounter) Inc(n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}

func (g sdkGauge) Update(v float64)       { g.Set(v) }
func (t sdkTimer) Record(d time.Duration) { t.Observe(d.Seconds()) }

// plain makes a name of Prometheus' of one of the SDK's.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
}
