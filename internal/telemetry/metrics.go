package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// Metrics are all that a worker counts and tells, in one registry. They are safe
// for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	ours      prometheus.Registerer // adds the host to each
	databases []string

	duration      *prometheus.HistogramVec
	failures      *prometheus.CounterVec
	running       *prometheus.GaugeVec
	copies        *prometheus.CounterVec
	attempts      *prometheus.CounterVec
	copiedBytes   *prometheus.CounterVec
	readBytes     *prometheus.CounterVec
	resumedBytes  *prometheus.CounterVec
	verifications *prometheus.CounterVec
	decisions     *prometheus.CounterVec
	restoredBytes *prometheus.CounterVec
	messages      *prometheus.CounterVec
	connected     prometheus.Gauge
}

// other is the label of what is in no closed list. Whoever may start a run may
// name any database.
const other = "other"

// durations of steps, in seconds: a prune takes moments, a copy may take hours.
var durations = []float64{0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600}

// NewMetrics are those of a worker of the host and its databases.
func NewMetrics(host, version string, databases []string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), databases: slices.Clone(databases)}
	m.ours = prometheus.WrapRegistererWith(prometheus.Labels{"host": host}, m.registry)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := m.gauge("build_info", "The release of canvasback that runs; always 1.", "version")
	build.WithLabelValues(version).Set(1)
	m.connected = m.gauge("temporal_connected", "1 once the worker has reached Temporal; 0 while it waits for it at its start.").WithLabelValues()
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "canvasback_step_duration_seconds", Buckets: durations,
		Help: "Time of each attempt of a step. Outcome: done, retry (it failed and is tried again), failed, interrupted.",
	}, []string{"database", "step", "outcome"})
	m.ours.MustRegister(m.duration)
	m.failures = m.counter("step_failures_total", "Attempts of steps that failed, by the kind of the failure.", "database", "step", "kind")
	m.running = m.gauge("steps_running", "Steps that are at work now, those that wait for their turn not counted.", "database", "step")
	m.copies = m.counter("copies_total", "Copies that were made, by the rule that justifies them.", "database", "rule")
	m.attempts = m.counter("copy_attempts_total", "Passes over the database file that the copies took.", "database")
	m.copiedBytes = m.counter("copied_bytes_total", "Size of the copies that were made.", "database")
	m.readBytes = m.counter("read_bytes_total", "Bytes read from the database file for copies.", "database")
	m.resumedBytes = m.counter("resumed_bytes_total", "Bytes of copies that an interrupted attempt had copied and that were not read again.", "database")
	m.verifications = m.counter("verifications_total", "Verdicts on copies, by the state that the backup came to be in.", "database", "state")
	m.decisions = m.counter("prune_decisions_total", "Decisions of the retention policy on backups: kept or removed.", "database", "decision")
	m.restoredBytes = m.counter("restored_bytes_total", "Size of what restores and drills restored.", "database")
	m.messages = m.counter("messages_total", "Messages to those whom notify names, told or untold: those that could not be delivered so far.", "database", "outcome")
	m.begin()
	return m
}

// begin sets what may never happen to 0, so that its first time is an increase.
func (m *Metrics) begin() {
	for _, d := range m.databases {
		for _, v := range []*prometheus.CounterVec{m.attempts, m.copiedBytes, m.readBytes, m.resumedBytes, m.restoredBytes} {
			v.WithLabelValues(d)
		}
		for _, rule := range rules {
			m.copies.WithLabelValues(d, rule)
		}
		for _, state := range states {
			m.verifications.WithLabelValues(d, state)
		}
		for _, decision := range []string{kept, removed} {
			m.decisions.WithLabelValues(d, decision)
		}
		for _, outcome := range []string{told, untold} {
			m.messages.WithLabelValues(d, outcome)
		}
		for _, s := range stepNames {
			m.running.WithLabelValues(d, s)
		}
	}
}

// Closed lists of label values.
var (
	rules  = []string{"hold", "A", "B", "C"}
	states = []string{"verified", "structure", "failed"}
)

const (
	kept    = "kept"
	removed = "removed"
	told    = "told"
	untold  = "untold"
)

func oneOf(list []string, value string) string {
	if slices.Contains(list, value) {
		return value
	}
	return other
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "canvasback_" + name, Help: help}, labels)
	m.ours.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "canvasback_" + name, Help: help}, labels)
	m.ours.MustRegister(v)
	return v
}

// step notes that an attempt of a step is over.
func (m *Metrics) step(database, step, outcome string, kind *failure.Kind, seconds float64) {
	database = oneOf(m.databases, database)
	m.duration.WithLabelValues(database, step, outcome).Observe(seconds)
	if kind != nil {
		m.failures.WithLabelValues(database, step, kind.Name).Inc()
	}
}

// at counts a step as running until the function that it returns is called.
func (m *Metrics) at(database, step string) (done func()) {
	g := m.running.WithLabelValues(oneOf(m.databases, database), step)
	g.Inc()
	return g.Dec
}

func (m *Metrics) copied(database string, r job.CopyResult) {
	database = oneOf(m.databases, database)
	m.copies.WithLabelValues(database, oneOf(rules, r.Rule)).Inc()
	m.attempts.WithLabelValues(database).Add(float64(r.Attempts))
	m.copiedBytes.WithLabelValues(database).Add(float64(r.Bytes))
	m.readBytes.WithLabelValues(database).Add(float64(r.BytesRead))
	m.resumedBytes.WithLabelValues(database).Add(float64(r.BytesResumed))
}

func (m *Metrics) verified(database, state string) {
	m.verifications.WithLabelValues(oneOf(m.databases, database), oneOf(states, state)).Inc()
}

func (m *Metrics) pruned(database string, r job.PruneResult) {
	database = oneOf(m.databases, database)
	m.decisions.WithLabelValues(database, kept).Add(float64(len(r.Kept)))
	m.decisions.WithLabelValues(database, removed).Add(float64(len(r.Removed)))
}

func (m *Metrics) restored(database string, bytes int64) {
	m.restoredBytes.WithLabelValues(oneOf(m.databases, database)).Add(float64(bytes))
}

func (m *Metrics) announced(database string, r job.AnnounceResult) {
	database = oneOf(m.databases, database)
	m.messages.WithLabelValues(database, told).Add(float64(len(r.Told)))
	m.messages.WithLabelValues(database, untold).Add(float64(len(r.Untold)))
}
