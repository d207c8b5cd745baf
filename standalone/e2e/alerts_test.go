package e2e

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/standalone/server"
)

// watched starts a worker whose metrics are scraped.
func (p *prometheus) watched(w *world, args ...string) *process {
	w.t.Helper()
	worker := w.startWorker(append([]string{"--metrics-address", "127.0.0.1:0"}, args...)...)
	w.waitForWorker()
	p.scrape(worker.metricsAddress())
	return worker
}

// again starts a worker at the address of one that has ended.
func (p *prometheus) again(w *world, before *process, args ...string) *process {
	w.t.Helper()
	address := before.metricsAddress()
	worker := w.startWorker(append([]string{"--metrics-address", address}, args...)...)
	worker.metricsAddress()
	return worker
}

// born is when a worker's process began, as it says.
func (p *prometheus) born(worker *process) float64 {
	return p.value(`process_start_time_seconds{instance="` + worker.metricsAddress() + `"}`)
}

// reports waits until the worker at the address of the one that was born then has
// said what it knows, so that an alert does not only end because its series is gone.
func (p *prometheus) reports(w *world, worker *process, before float64) {
	w.t.Helper()
	expr := fmt.Sprintf(`process_start_time_seconds{instance="%s"} != %f and on (instance) canvasback_repository_looked_age_seconds and on (instance) canvasback_temporal_seen_age_seconds`,
		worker.metricsAddress(), before)
	eventually(w.t, "the new worker reports", func() bool { return len(p.query(expr)) == 1 })
}

// TestAlertsFire makes every way in which backups can stop without a word happen to
// a real worker, and waits for a real Prometheus to say so, and to take it back
// when it is mended.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	p := startPrometheus(t)
	cases := map[string]func(t *testing.T, w *world, p *prometheus){
		"a missing worker":       alertWorkerMissing,
		"a backup that is old":   alertBackupTooOld,
		"a paused schedule":      alertSchedulePaused,
		"a hook that hangs":      alertHookHangs,
		"an old configuration":   alertConfigurationOld,
		"a stuck run":            alertRunStuck,
		"a schedule that lags":   alertScheduleLags,
		"a run that failed":      alertBackupFailed,
		"a database without any": alertNoVerifiedBackup,
		"a server that is gone":  alertTemporalUnreachable,
	}
	// They wait most of their time, so more at once than there are processors.
	var group sync.WaitGroup
	defer group.Wait()
	for name, f := range cases {
		group.Go(func() {
			t.Run(name, func(t *testing.T) { f(t, newWorld(t, shared.HostPort()), p) })
		})
	}
}

func alertWorkerMissing(t *testing.T, w *world, p *prometheus) {
	w.create()
	worker := p.watched(w, "--config", w.slow("1GB"))
	p.settled(w)
	instance := `instance="` + worker.metricsAddress() + `"`
	require.False(t, p.firing("WorkerMissing", instance))
	done := time.Now()
	worker.stop(syscall.SIGKILL)
	p.fires(t, "WorkerMissing", instance, "kill -9 of the worker", done)
	done = time.Now()
	p.again(w, worker, "--config", w.slow("1GB"))
	p.ends(t, "WorkerMissing", instance, "the worker is started again", done)
}

func alertBackupTooOld(t *testing.T, w *world, p *prometheus) {
	w.create()
	worker := p.watched(w, "--config", w.slow("1GB"))
	var result resultDoc
	w.do(&result, "run")
	labels := p.settled(w)
	eventually(t, "the backup is seen", func() bool { return len(p.query(`canvasback_newest_verified_age_seconds{`+labels+`}`)) == 1 })
	require.False(t, p.firing("BackupTooOld", labels))
	done := time.Now()
	assert.Equal(t, failure.ExitDone, worker.stop(syscall.SIGTERM))
	second := p.again(w, worker, "--config", w.slow("1GB", "max_age: 1s"))
	p.fires(t, "BackupTooOld", labels, "a backup older than max_age, 1 s, at a worker that has just started", done)
	born := p.born(second)
	done = time.Now()
	assert.Equal(t, failure.ExitDone, second.stop(syscall.SIGTERM))
	third := p.again(w, worker, "--config", w.slow("1GB", "max_age: 24h"))
	p.reports(w, third, born)
	p.ends(t, "BackupTooOld", labels, "max_age is 24 h again", done)
}

func alertSchedulePaused(t *testing.T, w *world, p *prometheus) {
	w.create()
	p.watched(w, "--config", w.slow("1GB"))
	w.do(&scheduleDoc{}, "schedule", "create", "--schedule", "0 3 * * *")
	labels := p.settled(w)
	require.False(t, p.firing("SchedulePaused", labels))
	done := time.Now()
	w.do(&scheduleDoc{}, "schedule", "pause", "--note", "the disk is full")
	p.fires(t, "SchedulePaused", labels, "starter schedule pause", done)
	done = time.Now()
	w.do(&scheduleDoc{}, "schedule", "unpause")
	p.ends(t, "SchedulePaused", labels, "starter schedule unpause", done)
	w.do(&struct{}{}, "schedule", "delete")
}

func alertHookHangs(t *testing.T, w *world, p *prometheus) {
	w.create()
	worker := p.watched(w, "--config", w.slow("1GB", "checkpoint: {mode: command, command: [sleep, '600'], timeout: 1s}"))
	labels := p.settled(w)
	require.False(t, p.firing("HookHangs", labels))
	done := time.Now()
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State, "the backup goes on without the hook")
	p.fires(t, "HookHangs", labels, "a run whose checkpoint hook sleeps for longer than its timeout", done)
	born := p.born(worker)
	done = time.Now()
	assert.Equal(t, failure.ExitDone, worker.stop(syscall.SIGTERM))
	next := p.again(w, worker, "--config", w.slow("1GB", "checkpoint: {mode: command, command: ['true']}"))
	p.reports(w, next, born)
	p.fires(t, "HookHangs", labels, "a restart, which mends no hook", done)
	w.do(&result, "run")
	p.ends(t, "HookHangs", labels, "a run whose hook answers", done)
}

func alertConfigurationOld(t *testing.T, w *world, p *prometheus) {
	w.create()
	config := w.slow("1GB")
	p.watched(w, "--config", config)
	labels := p.settled(w)
	require.False(t, p.firing("ConfigurationOld", labels))
	before, err := os.ReadFile(config)
	require.NoError(t, err)
	done := time.Now()
	w.slow("2GB")
	p.fires(t, "ConfigurationOld", labels, "another bandwidth in the file", done)
	assert.Equal(t, 1.0, p.value(`canvasback_configuration_changed{host="`+w.host+`"}`))
	done = time.Now()
	require.NoError(t, os.WriteFile(config, before, 0o600))
	p.ends(t, "ConfigurationOld", labels, "the file is as it was", done)
}

// The step is tried again and again, and fails each time.
func alertRunStuck(t *testing.T, w *world, p *prometheus) {
	w.create()
	p.watched(w, "--config", w.slow("1GB", "hold: {mode: command, command: ['false'], on_error: fail}"))
	labels := p.settled(w)
	require.False(t, p.firing("RunStuck", labels))
	done := time.Now()
	var started runDoc
	w.do(&started, "run", "--no-wait")
	p.fires(t, "RunStuck", labels, "a copy that fails again and again", done)
	assert.Positive(t, p.value(`canvasback_run_age_seconds{`+labels+`}`))
	assert.Greater(t, p.value(`canvasback_step_failures_total{`+labels+`,step="copy",kind="Hook"}`), 4.0)
	done = time.Now()
	w.do(&stopDoc{}, "stop")
	p.ends(t, "RunStuck", labels, "starter stop", done)
}

// What the schedule starts is for a host where nobody is.
func alertScheduleLags(t *testing.T, w *world, p *prometheus) {
	w.create()
	p.watched(w, "--config", w.slow("1GB"))
	labels := p.settled(w)
	require.False(t, p.firing("ScheduleLags", labels))
	c := w.client()
	_, err := app.EnsureSchedule(t.Context(), c, app.Spec{Database: w.name(), Host: w.host + "-gone", Cron: "0 3 * * *"})
	require.NoError(t, err)
	done := time.Now()
	require.NoError(t, app.Schedule(t.Context(), c, app.TaskBackup, w.name()).Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	p.fires(t, "ScheduleLags", labels, "a start that nobody takes", done)
	done = time.Now()
	w.do(&stopDoc{}, "stop", "--terminate")
	w.do(&scheduleDoc{}, "schedule", "update", "--host", w.host)
	p.ends(t, "ScheduleLags", labels, "starter stop --terminate, and the schedule is for the worker's host", done)
	w.do(&struct{}{}, "schedule", "delete")
}

func alertBackupFailed(t *testing.T, w *world, p *prometheus) {
	w.create()
	good, err := os.ReadFile(w.database)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(w.database, make([]byte, 64<<10), 0o600))
	p.watched(w, "--config", w.slow("1GB"))
	labels := p.settled(w)
	require.False(t, p.firing("BackupFailed", labels))
	done := time.Now()
	w.refused(failure.NotDuckDB, "run")
	p.fires(t, "BackupFailed", labels, "a run of a file that is no database", done)
	done = time.Now()
	require.NoError(t, os.WriteFile(w.database, good, 0o600))
	var result resultDoc
	w.do(&result, "run")
	p.ends(t, "BackupFailed", labels, "a run that made a backup", done)
}

func alertNoVerifiedBackup(t *testing.T, w *world, p *prometheus) {
	w.create()
	done := time.Now()
	p.watched(w, "--config", w.slow("1GB"))
	labels := p.settled(w)
	p.fires(t, "NoVerifiedBackup", labels, "a database that was never backed up", done)
	require.False(t, p.firing("BackupTooOld", labels), "it has no age")
	done = time.Now()
	var result resultDoc
	w.do(&result, "run")
	p.ends(t, "NoVerifiedBackup", labels, "its first backup", done)
	assert.Equal(t, float64(result.Bytes), p.value(fmt.Sprintf(`canvasback_newest_verified_bytes{%s}`, labels)))
}

func alertTemporalUnreachable(t *testing.T, w *world, p *prometheus) {
	s := startServer(t, server.Options{})
	w.address = s.HostPort()
	w.create()
	p.watched(w, "--config", w.slow("1GB"))
	p.settled(w)
	host := `host="` + w.host + `"`
	require.False(t, p.firing("TemporalUnreachable", host))
	done := time.Now()
	require.NoError(t, s.Stop())
	p.fires(t, "TemporalUnreachable", host, "the server is stopped", done)
	done = time.Now()
	s.start()
	p.ends(t, "TemporalUnreachable", host, "the server is back", done)
}
