package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"canvasback/internal/health"
	"canvasback/internal/job"
)

// reported tells what the newest report says, as of the time of the scrape: an
// age goes on growing where the report does not come.
type reported struct {
	report func() health.Report
	now    func() time.Time
}

// Descriptions of what reports tell. That of a database has label database.
var (
	reportTime   = describe("report_timestamp_seconds", "When the worker last looked at its repository and at Temporal.")
	reportAge    = describe("report_age_seconds", "How long ago the worker last looked. All that it found is as old.")
	lookedAge    = describe("repository_looked_age_seconds", "How long ago the repository was last read to its end. It grows while its file system does not answer.")
	temporalAge  = describe("temporal_seen_age_seconds", "How long ago Temporal last answered the worker's questions about its schedules and runs.")
	repoBytes    = describe("repository_bytes", "Size of the repository.")
	freeBytes    = describe("repository_free_bytes", "Free space on the repository's file system.")
	configStale  = describe("configuration_changed", "1 while the configuration file says something else than the worker runs with.")
	problem      = describe("problem", "1 while the database has a problem of the kind, else 0.", "database", "kind")
	newestAge    = describe("newest_verified_age_seconds", "Age of the newest backup that counts as verified, from when its copy was begun. There is none without such a backup.", "database")
	newestTime   = describe("newest_verified_timestamp_seconds", "When the copy of the newest backup that counts as verified was begun.", "database")
	newestBytes  = describe("newest_verified_bytes", "Size of the newest backup that counts as verified.", "database")
	maxAge       = describe("max_age_seconds", "The age that the newest verified backup may reach: max_age of the configuration, or what follows from the schedule.", "database")
	backups      = describe("backups", "Backups in the repository that count as verified.", "database")
	growth       = describe("growth_bytes_per_second", "How fast backups of the database grow, by the sizes of the last ones; negative where they shrink.", "database")
	drillTime    = describe("drill_timestamp_seconds", "When the last drill ended. There is none before the first.", "database")
	drillPassed  = describe("drill_passed", "1 if the last drill passed.", "database")
	drillSeconds = describe("drill_restore_seconds", "Time that the last drill needed to restore a backup, durable on disk.", "database")
	runAge       = describe("run_age_seconds", "How long the backup run that is at work has been. There is none while none is.", "database")
	missed       = describe("schedule_missed_total", "Starts of the schedule that Temporal dropped because they came too late.", "database")
	skipped      = describe("schedule_skipped_total", "Starts of the schedule that Temporal dropped because a run was at work.", "database")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("canvasback_"+name, help, labels, nil)
}

// Watch adds what the reports say, which those that are connected to Temporal
// make. It is called once.
func (m *Metrics) Watch(report func() health.Report) {
	m.connected.Set(1)
	m.ours.MustRegister(&reported{report, time.Now})
}

func (r *reported) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		reportTime, reportAge, lookedAge, temporalAge, repoBytes, freeBytes, configStale, problem, newestAge, newestTime, newestBytes,
		maxAge, backups, growth, drillTime, drillPassed, drillSeconds, runAge, missed, skipped,
	} {
		to <- d
	}
}

// Collect tells nothing before the first report.
func (r *reported) Collect(to chan<- prometheus.Metric) {
	report, now := r.report(), r.now()
	if report.At.IsZero() {
		return
	}
	tell := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	tell(reportTime, seconds(report.At))
	tell(reportAge, now.Sub(report.At).Seconds())
	if seen := report.TemporalSeen; !seen.IsZero() {
		tell(temporalAge, now.Sub(seen).Seconds())
	}
	looked := report.Pulse.Looked
	if !looked.IsZero() {
		tell(lookedAge, now.Sub(looked).Seconds())
		tell(repoBytes, float64(report.Pulse.RepositoryBytes))
		tell(freeBytes, float64(report.Pulse.FreeBytes))
		tell(configStale, zeroOrOne(report.Pulse.ConfigChanged))
	}
	for _, d := range report.Databases {
		r.database(tell, count, d, now)
		// Before the first look a number of backups would be a guess.
		if d.Backups != nil && !looked.IsZero() {
			r.stored(tell, d.Backups)
		}
	}
}

// teller gives a value to who scrapes.
type teller func(d *prometheus.Desc, v float64, labels ...string)

func (r *reported) database(tell, count teller, d health.Reported, now time.Time) {
	for _, kind := range health.Kinds {
		tell(problem, zeroOrOne(health.Has(d.Problems, kind)), d.Name, kind)
	}
	if most := d.MaxAge(); most > 0 {
		tell(maxAge, most.Seconds(), d.Name)
	}
	if age, known := d.Age(now); known {
		tell(newestAge, age.Seconds(), d.Name)
		tell(newestTime, seconds(d.Newest()), d.Name)
	}
	if t := d.Temporal; t != nil {
		count(missed, float64(t.Missed), d.Name)
		count(skipped, float64(t.Skipped), d.Name)
		if t.Run != nil {
			tell(runAge, now.Sub(t.Run.Started).Seconds(), d.Name)
		}
	}
}

// stored tells what is in the repository.
func (r *reported) stored(tell teller, p *job.PulseDatabase) {
	tell(backups, float64(p.Backups), p.Name)
	tell(growth, p.GrowthPerDay/(24*time.Hour).Seconds(), p.Name)
	if n := p.Newest; n != nil {
		tell(newestBytes, float64(n.Bytes), p.Name)
	}
	if drill := p.Drill; drill != nil {
		tell(drillTime, seconds(drill.At), p.Name)
		tell(drillPassed, zeroOrOne(drill.Passed), p.Name)
		tell(drillSeconds, drill.RestoreSeconds, p.Name)
	}
}

// seconds since 1970, with a fraction.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func zeroOrOne(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
