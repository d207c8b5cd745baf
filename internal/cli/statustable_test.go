package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
)

var statusNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// statusOf is a database of many facts, as changed.
func statusOf(name string, change func(d *health.Database)) statusDoc {
	ago := func(d time.Duration) time.Time { return statusNow.Add(-d) }
	d := health.Database{
		Name: name, Host: "db1",
		Worker: health.Worker{Polls: true, Heard: ago(5 * time.Second), Looked: ago(5 * time.Second), FreeBytes: 1 << 40},
		Backups: &job.PulseDatabase{Name: name, MaxAge: 26 * time.Hour, Backups: 10, GrowthPerDay: 12.5 * (1 << 20),
			Newest: &job.PulseBackup{ID: "b3", Started: ago(9 * time.Hour), Finished: ago(8 * time.Hour), Bytes: 1200 << 20},
			Drill:  &job.PulseDrill{Backup: "b2", At: ago(3 * 24 * time.Hour), Passed: true}},
		Temporal: &health.Temporal{
			Begins: health.BySchedule, Schedule: "0 3 * * *", Longest: 24 * time.Hour, Since: ago(1000 * time.Hour), Next: statusNow.Add(15 * time.Hour),
			Last: &health.Ended{Status: "completed", State: "verified", Backup: "b3", Started: ago(9 * time.Hour), Ended: ago(8 * time.Hour)},
		},
	}
	if change != nil {
		change(&d)
	}
	return newStatusDoc(d, statusNow)
}

var statuses = []statusDoc{
	statusOf("shop", nil),
	statusOf("telemetry", func(d *health.Database) {
		d.Backups.MaxAge, d.Backups.GrowthPerDay = time.Hour, -3<<10
		d.Temporal.Paused, d.Temporal.Note = true, "the disk is full"
		d.Temporal.Run = &health.Run{Started: statusNow.Add(-time.Minute), Begun: true, Heartbeat: statusNow,
			Progress: &job.Progress{Step: "copy", Done: 45, Total: 100, At: statusNow}}
	}),
	statusOf("crm", func(d *health.Database) {
		d.Host, d.Worker, d.Backups = "db2", health.Worker{}, nil
		d.Temporal.Last, d.Temporal.Begins = nil, health.ByCron
	}),
}

func TestStatusTable(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, painter{w: &out}.status(statuses, statusNow))
	assert.Equal(t, strings.TrimLeft(`
DATABASE   HOST  WORKER  AGE         LAST         NEXT    SIZE     GROWTH       DRILL      NOW       PROBLEM
shop       db1   yes     9h of 26h   verified 8h  in 15h  1.2 GiB  +12.5 MiB/d  passed 3d  idle      -
telemetry  db1   yes     9h of 1h    verified 8h  paused  1.2 GiB  -3.0 KiB/d   passed 3d  copy 45%  too-old +1
crm        db2   NO      none of 2d  -            in 15h  -        -            never      idle      no-backup +1

telemetry: too-old: the newest verified backup holds what was there 9h ago, and 1h is the most it may be
  take one now with 'starter run', and look at what kept the others away
telemetry: paused: the schedule is paused: the disk is full
  let it go on: 'starter schedule unpause'
crm: no-worker: no worker of host db2 is there, and none has ever given a pulse
  start the worker on host db2, and look at its log
crm: no-backup: Temporal remembers no verified backup, and no worker says what the repository holds
  take one now: 'starter run'
`, "\n"), out.String())
	table, _, _ := strings.Cut(out.String(), "\n\n")
	for line := range strings.Lines(table) {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 121, "fits a terminal of 120 columns")
	}
}

// Colours change nothing but themselves.
func TestStatusColours(t *testing.T) {
	var coloured, bare bytes.Buffer
	require.NoError(t, painter{&coloured, true}.status(statuses, statusNow))
	require.NoError(t, painter{&bare, false}.status(statuses, statusNow))
	assert.NotContains(t, bare.String(), "\x1b")
	for _, want := range []string{string(green) + "9h of 26h" + reset, string(red) + "9h of 1h" + reset, string(red) + "NO" + reset, string(yellow) + "paused" + reset} {
		assert.Contains(t, coloured.String(), want)
	}
	text := coloured.String()
	for _, c := range []colour{red, green, yellow, dim, bold, reset} {
		text = strings.ReplaceAll(text, string(c), "")
	}
	assert.Equal(t, bare.String(), text)
}

func TestColoursAreForTerminals(t *testing.T) {
	a := &app{out: &bytes.Buffer{}}
	assert.False(t, a.painter(a.out).colours)
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, isTerminal(file))
}

func TestProblemsThatAreSharedAreToldOnce(t *testing.T) {
	var all []statusDoc
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		all = append(all, statusOf(name, func(d *health.Database) { d.Worker.ConfigChanged = true }))
	}
	var out bytes.Buffer
	require.NoError(t, painter{w: &out}.status(all, statusNow))
	assert.Equal(t, 1, strings.Count(out.String(), "configuration file of host db1"))
	assert.Contains(t, out.String(), "a, b, c, d and 2 more: old-config: ")
}

func TestNoDatabaseYet(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, painter{w: &out}.status(nil, statusNow))
	assert.Equal(t, "Temporal knows of no database of canvasback yet: start a worker.\n", out.String())
}

func TestStatusVerdict(t *testing.T) {
	once, strict := &statusFlags{}, &statusFlags{strict: true}
	assert.NoError(t, once.verdict(statuses[:1]))
	assert.NoError(t, strict.verdict(statuses[:1]))
	err := once.verdict(statuses)
	assert.Equal(t, failure.ObjectiveMissed, failure.Of(err))
	assert.Equal(t, failure.ExitPartly, failure.Of(err).Exit)
	assert.EqualError(t, err, "2 of 3 databases miss their objective: telemetry, crm")
	paused := statusOf("shop", func(d *health.Database) { d.Temporal.Paused = true })
	assert.NoError(t, once.verdict([]statusDoc{paused}))
	assert.EqualError(t, strict.verdict([]statusDoc{paused}), "1 of 1 databases have a problem: shop")

	busy := func(name string, maxAge time.Duration) statusDoc {
		return statusOf(name, func(d *health.Database) {
			d.Backups.MaxAge, d.Temporal.Partial, d.Temporal.Longest = maxAge, true, 0
		})
	}
	assert.NoError(t, once.verdict([]statusDoc{busy("shop", 1000*time.Hour)}), "max_age tells")
	err = once.verdict([]statusDoc{statuses[0], busy("shop", 0)})
	assert.Equal(t, failure.TemporalBusy, failure.Of(err))
	assert.EqualError(t, err, "Temporal is too busy to describe schedules: whether an objective is missed is not known of 1 of 2 databases: shop")
	assert.Equal(t, failure.ObjectiveMissed, failure.Of(once.verdict(append(statuses[:3:3], busy("shop", 0)))), "what is missed comes first")
}

func TestDrillColumn(t *testing.T) {
	drill := func(change func(d *health.Database)) string {
		return drillCell(statusOf("shop", change), statusNow).text
	}
	last := func(d health.Drilled) func(*health.Database) {
		d.Ended = statusNow.Add(-time.Hour)
		return func(db *health.Database) { db.Backups.Drill, db.Temporal.Drill = nil, &health.Drills{Last: &d} }
	}
	assert.Equal(t, "passed 3d", drill(nil))
	assert.Equal(t, "FAILED 3d", drill(func(d *health.Database) { d.Backups.Drill.Passed = false }))
	assert.Equal(t, "passed 1h", drill(last(health.Drilled{Status: "completed", Passed: true})))
	assert.Equal(t, "FAILED 1h", drill(last(health.Drilled{Status: "failed", Error: "no"})))
	assert.Equal(t, "canceled 1h", drill(last(health.Drilled{Status: "canceled"})))
	assert.Equal(t, "none yet", drill(func(d *health.Database) { d.Backups.Drill, d.Temporal.Drill = nil, &health.Drills{} }))
	assert.Equal(t, "paused", drill(func(d *health.Database) { d.Backups.Drill, d.Temporal.Drill = nil, &health.Drills{Paused: true} }))
	assert.Equal(t, "never", drill(func(d *health.Database) { d.Backups.Drill = nil }))
}
