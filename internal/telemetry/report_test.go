package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/health"
	"canvasback/internal/job"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func fullReport() health.Report {
	shop := job.PulseDatabase{
		Name: "shop", MaxAge: 24 * time.Hour, Backups: 7, GrowthPerDay: 86400,
		Newest: &job.PulseBackup{ID: "b1", Started: noon.Add(-2 * time.Hour), Finished: noon.Add(-time.Hour), Bytes: 4096, Rule: "A"},
		Drill:  &job.PulseDrill{Backup: "b1", At: noon.Add(-48 * time.Hour), Passed: true, RestoreSeconds: 12.5},
	}
	return health.Report{
		Pulse:        job.Pulse{Host: "db1", FreeBytes: 1e9, RepositoryBytes: 5000, ConfigChanged: true, Looked: noon.Add(-5 * time.Second), Databases: []job.PulseDatabase{shop, {Name: "new"}}},
		At:           noon.Add(-3 * time.Second),
		TemporalSeen: noon.Add(-30 * time.Second),
		Databases: []health.Reported{
			{Database: health.Database{Name: "shop", Backups: &shop, Temporal: &health.Temporal{Missed: 2, Skipped: 3, Run: &health.Run{Started: noon.Add(-time.Minute)}}},
				Problems: []health.Problem{{Kind: health.Paused}, {Kind: health.OldConfig}}},
			{Database: health.Database{Name: "new", Backups: &job.PulseDatabase{Name: "new"}}, Problems: []health.Problem{{Kind: health.NoBackup}}},
			{Database: health.Database{Name: "dark"}},
		},
	}
}

func watched(t *testing.T, report health.Report) *Metrics {
	t.Helper()
	m := NewMetrics("db1", "v1", []string{"shop", "new"})
	m.ours.MustRegister(&reported{func() health.Report { return report }, func() time.Time { return noon }})
	return m
}

func TestReportIsTold(t *testing.T) {
	m := watched(t, fullReport())
	want := `
canvasback_backups{database="new",host="db1"} 0
canvasback_backups{database="shop",host="db1"} 7
canvasback_configuration_changed{host="db1"} 1
canvasback_drill_passed{database="shop",host="db1"} 1
canvasback_drill_restore_seconds{database="shop",host="db1"} 12.5
canvasback_drill_timestamp_seconds{database="shop",host="db1"} 1.7952624e+09
canvasback_growth_bytes_per_second{database="new",host="db1"} 0
canvasback_growth_bytes_per_second{database="shop",host="db1"} 1
canvasback_max_age_seconds{database="shop",host="db1"} 86400
canvasback_newest_verified_age_seconds{database="shop",host="db1"} 7200
canvasback_newest_verified_bytes{database="shop",host="db1"} 4096
canvasback_newest_verified_timestamp_seconds{database="shop",host="db1"} 1.795428e+09
canvasback_report_age_seconds{host="db1"} 3
canvasback_report_timestamp_seconds{host="db1"} 1.795435197e+09
canvasback_repository_bytes{host="db1"} 5000
canvasback_repository_free_bytes{host="db1"} 1e+09
canvasback_repository_looked_age_seconds{host="db1"} 5
canvasback_run_age_seconds{database="shop",host="db1"} 60
canvasback_schedule_missed_total{database="shop",host="db1"} 2
canvasback_schedule_skipped_total{database="shop",host="db1"} 3
canvasback_temporal_seen_age_seconds{host="db1"} 30
`
	assert.Equal(t, strings.TrimSpace(want), strings.Join(samples(t, m, "canvasback_", "canvasback_problem"), "\n"))
	n, err := testutil.GatherAndCount(m.registry, "canvasback_problem")
	require.NoError(t, err)
	assert.Equal(t, 3*len(health.Kinds), n, "each kind of each database, 0 or 1")
	var problems []string
	for _, s := range samples(t, m, "canvasback_problem", "") {
		if strings.HasSuffix(s, " 1") {
			problems = append(problems, s)
		}
	}
	assert.Equal(t, []string{
		`canvasback_problem{database="new",host="db1",kind="no-backup"} 1`,
		`canvasback_problem{database="shop",host="db1",kind="old-config"} 1`,
		`canvasback_problem{database="shop",host="db1",kind="paused"} 1`,
	}, problems)
}

// A process that has not looked yet does not say that there is nothing.
func TestNothingIsToldOfTheRepositoryBeforeTheFirstLook(t *testing.T) {
	report := fullReport()
	report.Pulse.Looked = time.Time{}
	for _, s := range samples(t, watched(t, report), "canvasback_", "") {
		for _, not := range []string{"canvasback_backups", "canvasback_newest_verified_bytes", "canvasback_repository", "canvasback_configuration", "canvasback_drill_"} {
			assert.False(t, strings.HasPrefix(s, not), s)
		}
	}
}

// Until there is a report nothing is told, rather than zeros.
func TestNothingIsToldBeforeTheFirstReport(t *testing.T) {
	m := watched(t, health.Report{})
	for _, s := range samples(t, m, "canvasback_", "") {
		assert.False(t, strings.HasPrefix(s, "canvasback_problem") || strings.HasPrefix(s, "canvasback_newest") || strings.HasPrefix(s, "canvasback_report"), s)
	}
}

// samples are the lines of the families with the prefix that come from reports
// alone, or all where without is empty.
func samples(t *testing.T, m *Metrics, prefix, without string) []string {
	t.Helper()
	counted := map[string]bool{}
	if without != "" {
		for _, f := range gather(t, NewMetrics("db1", "v1", []string{"shop", "new"})) {
			counted[f.GetName()] = true
		}
	}
	var lines []string
	for _, f := range gather(t, m) {
		name := f.GetName()
		if counted[name] || !strings.HasPrefix(name, prefix) || without != "" && strings.HasPrefix(name, without) {
			continue
		}
		lines = append(lines, text(t, f)...)
	}
	return lines
}
