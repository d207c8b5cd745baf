package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/job"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// well is a database with which nothing is wrong.
func well() Database {
	return Database{
		Name: "shop", Host: "db1",
		Backups: &job.PulseDatabase{Name: "shop", Backups: 3, Newest: &job.PulseBackup{
			ID: "b3", Started: ago(9 * time.Hour), Finished: ago(8 * time.Hour), Bytes: 1 << 30}},
		Worker: Worker{Polls: true, Heard: ago(5 * time.Second), Looked: ago(5 * time.Second), FreeBytes: 1 << 40, Config: "0123456789ab"},
		Temporal: &Temporal{
			Begins: BySchedule, Schedule: "0 3 * * *", Timezone: "UTC", Longest: 24 * time.Hour, Catchup: 24 * time.Hour,
			Since: ago(1000 * time.Hour), Next: now.Add(15 * time.Hour), Due: ago(9 * time.Hour), Newest: ago(9 * time.Hour),
			Last: &Ended{WorkflowID: "canvasback-backup-shop", Status: "completed", State: "verified", Backup: "b3", Started: ago(9 * time.Hour), Ended: ago(8 * time.Hour)},
		},
	}
}

// working is a run at work that gets on.
func working() *Run {
	return &Run{WorkflowID: "canvasback-backup-shop", Started: ago(10 * time.Minute), Begun: true, Heartbeat: ago(5 * time.Second), Attempt: 1,
		Progress: &job.Progress{Step: "copy", Phase: "blocks", At: ago(5 * time.Second)}}
}

func TestEveryKindIsChecked(t *testing.T) {
	assert.Len(t, checks, len(Kinds))
	for _, kind := range Kinds {
		assert.Contains(t, checks, kind)
	}
}

func TestAssess(t *testing.T) {
	tests := []struct {
		name   string
		change func(d *Database)
		want   string // "kind: text", "kind!: text" where an objective is missed; empty: nothing
	}{
		{"nothing is wrong", func(*Database) {}, ""},
		{"a run at work", func(d *Database) { d.Temporal.Run = working() }, ""},

		{"as old as it may be", func(d *Database) { d.Backups.MaxAge = 9 * time.Hour }, ""},
		{"a second older", func(d *Database) { d.Backups.MaxAge = 9*time.Hour - time.Second },
			"too-old!: the newest verified backup holds what was there 9h ago, and 8h 59m is the most it may be"},
		{"age counts from the start, not the end", func(d *Database) {
			d.Backups.MaxAge = 8*time.Hour + 30*time.Minute
		}, "too-old!: the newest verified backup holds what was there 9h ago, and 8h 30m is the most it may be"},
		{"without max_age one start may be missed", func(d *Database) { d.Backups.Newest.Started = ago(49 * time.Hour) }, ""},
		{"without max_age and two missed", func(d *Database) { d.Backups.Newest.Started = ago(50 * time.Hour) },
			"too-old!: the newest verified backup holds what was there 2d 2h ago, and 2d 1h is the most it may be"},
		{"clocks that differ a little", func(d *Database) { d.Backups.Newest.Started = now.Add(skew) }, ""},
		{"a backup of the future is not fresh", func(d *Database) {
			d.Backups.MaxAge, d.Backups.Newest.Started = time.Hour, now.Add(skew+time.Minute)
		}, "too-old!: the newest verified backup is dated 6m ahead: how old it is cannot be told"},
		{"the repository lost the backup that Temporal remembers", func(d *Database) {
			d.Backups.Newest, d.Temporal.Verified = nil, d.Temporal.Last
		}, "no-backup!: there is no verified backup"},
		{"Temporal knows of one that the worker has not seen yet", func(d *Database) {
			d.Worker.Looked, d.Worker.Heard = ago(55*time.Second), ago(50*time.Second)
			d.Backups.Newest.Started, d.Backups.MaxAge = ago(100*time.Hour), time.Hour
			d.Temporal.Last = &Ended{Status: "completed", State: "verified", Backup: "b4", Started: ago(time.Minute), Ended: ago(30 * time.Second)}
			d.Temporal.Verified = d.Temporal.Last
		}, ""},
		{"no worker tells, and Temporal remembers a fresh one", func(d *Database) {
			d.Backups, d.Worker, d.Temporal.Verified = nil, Worker{Polls: true}, d.Temporal.Last
		}, ""},
		{"no worker tells, and Temporal remembers an old one", func(d *Database) {
			d.Backups, d.Worker = nil, Worker{Polls: true}
			d.Temporal.Last.Started, d.Temporal.Last.Ended = ago(60*time.Hour), ago(59*time.Hour)
			d.Temporal.Verified = d.Temporal.Last
		}, "too-old!: the newest verified backup holds what was there 2d 12h ago, and 2d 1h is the most it may be"},
		{"no worker tells, and Temporal remembers none", func(d *Database) { d.Backups, d.Worker, d.Temporal.Last = nil, Worker{Polls: true}, nil },
			"no-backup!: Temporal remembers no verified backup, and no worker says what the repository holds"},

		{"none yet, and the schedule is young", func(d *Database) {
			d.Backups.Newest, d.Temporal.Last, d.Temporal.Since = nil, nil, ago(time.Hour)
		}, "no-backup: there is no verified backup"},
		{"none, and the schedule is as old as a backup may be", func(d *Database) {
			d.Backups.Newest, d.Temporal.Last, d.Temporal.Since = nil, nil, ago(50*time.Hour)
		}, "no-backup!: there is no verified backup"},
		{"none, and the operator's own objective", func(d *Database) {
			d.Backups.Newest, d.Backups.MaxAge, d.Temporal = nil, time.Hour, nil
		}, "no-backup!: there is no verified backup"},

		{"the worker is gone", func(d *Database) { d.Worker.Polls, d.Worker.Heard = false, ago(3*time.Hour) },
			"no-worker: no worker of host db1 is there; the last word of one is 3h old"},
		{"the worker was never there", func(d *Database) {
			d.Worker, d.Backups, d.Temporal.Verified = Worker{}, nil, d.Temporal.Last
		}, "no-worker: no worker of host db1 is there, and none has ever given a pulse"},
		{"the worker has just stopped", func(d *Database) { d.Worker.Polls = false }, "no-worker: no worker of host db1 asks for work"},
		{"the worker polls and is silent", func(d *Database) { d.Worker.Heard = ago(silent + time.Second) },
			"no-worker: a worker of host db1 asks for work, but its pulse is 1m 1s old"},
		{"the pulse is late", func(d *Database) { d.Worker.Heard = ago(silent) }, ""},
		{"a worker of before pulses", func(d *Database) {
			d.Worker, d.Backups, d.Temporal.Verified = Worker{Polls: true}, nil, d.Temporal.Last
		}, ""},
		{"nobody wants backups of it any more", func(d *Database) {
			d.Worker, d.Backups, d.Temporal.Begins = Worker{}, nil, ByHand
		}, ""},

		{"the schedule is paused", func(d *Database) { d.Temporal.Paused, d.Temporal.Note = true, "the disk is full" }, "paused: the schedule is paused: the disk is full"},
		{"nothing starts backups", func(d *Database) { d.Temporal.Begins, d.Temporal.Longest = ByHand, 0 },
			"no-schedule: no schedule and no cron workflow starts backups of shop"},
		{"something else starts them in time", func(d *Database) {
			d.Temporal.Begins, d.Temporal.Longest, d.Backups.MaxAge = ByHand, 0, 10*time.Hour
		}, ""},

		{"the next start is late", func(d *Database) { d.Temporal.Next = ago(lagSlack) }, ""},
		{"the next start did not come", func(d *Database) { d.Temporal.Next = ago(lagSlack + time.Minute) },
			"schedule-lag: the start that was due 3m ago did not come"},
		{"the next start is in its jitter", func(d *Database) { d.Temporal.Next, d.Temporal.Jitter = ago(lagSlack+time.Minute), time.Minute }, ""},
		{"the last start was dropped", func(d *Database) {
			d.Temporal.Due, d.Temporal.Missed, d.Temporal.Catchup = ago(time.Hour), 1, time.Minute
		}, "schedule-lag: the start that was due 1h ago was dropped: it could not come within the catch-up window of 1m"},
		{"the last start was dropped, and made up for by hand", func(d *Database) {
			d.Temporal.Due, d.Temporal.Missed, d.Temporal.Catchup = ago(time.Hour), 1, time.Minute
			d.Backups.Newest.Started = ago(30 * time.Minute)
		}, ""},
		{"a start was dropped, and the schedule still tells of it as its next", func(d *Database) {
			d.Temporal.Due, d.Temporal.Next, d.Temporal.Missed, d.Temporal.Catchup = ago(time.Hour), ago(time.Hour), 1, time.Minute
		}, "schedule-lag: the start that was due 1h ago was dropped: it could not come within the catch-up window of 1m"},
		{"the same, and a backup was made by hand", func(d *Database) {
			d.Temporal.Due, d.Temporal.Next, d.Temporal.Missed, d.Temporal.Catchup = ago(time.Hour), ago(time.Hour), 1, time.Minute
			d.Backups.Newest.Started = ago(30 * time.Minute)
		}, ""},
		{"one of long ago was dropped", func(d *Database) { d.Temporal.Missed = 1 }, ""},
		{"the last start found a run at work", func(d *Database) {
			d.Temporal.Due, d.Temporal.Missed = ago(8*time.Hour+30*time.Minute), 1
		}, ""},
		{"nobody takes the run", func(d *Database) {
			d.Temporal.Run = &Run{Started: ago(3 * time.Minute), Task: 1, TaskSince: ago(3 * time.Minute)}
		}, "schedule-lag: the run that was started 3m ago has not begun: no worker has taken it"},
		{"the run has just been started", func(d *Database) {
			d.Temporal.Run = &Run{Started: ago(lagSlack), Task: 1, TaskSince: ago(lagSlack)}
		}, ""},

		{"the copy does not get on", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Started, d.Temporal.Run.Progress.At = ago(30*time.Minute), ago(quietCopy+time.Minute)
		}, "stuck-run: step copy of the run does not get on: the same for 16m"},
		{"the copy waits for its turn", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Progress = &job.Progress{Step: "copy", Phase: "waiting for another database's backup", At: ago(10 * time.Hour)}
		}, ""},
		{"the copy waits for its turn at the server", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Heartbeat, d.Temporal.Run.Waiting, d.Temporal.Run.Queued = ago(10*time.Hour), true, true
			d.Temporal.Run.Progress = &job.Progress{Step: "copy", Phase: job.WaitingPhase, At: ago(10 * time.Hour)}
		}, ""},
		{"a large table is read", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Progress = &job.Progress{Step: "verify", Phase: "read", At: ago(time.Hour)}
		}, ""},
		{"nothing is heard of the step", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Heartbeat, d.Temporal.Run.Waiting, d.Temporal.Run.Attempt = ago(gone+time.Second), true, 2
		}, "stuck-run: nothing was heard of step copy of the run for 4m 1s"},
		{"the step fails again and again", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Attempt, d.Temporal.Run.Error = tries+1, "no space left on device"
		}, "stuck-run: step copy of the run has failed 5 times; the last time: no space left on device"},
		{"the workflow fails again and again", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Progress, d.Temporal.Run.Task = nil, tasks
		}, "stuck-run: the run cannot go on: its workflow task has failed 2 times"},
		{"nobody goes on with the run", func(d *Database) {
			d.Temporal.Run = &Run{Started: ago(10 * time.Minute), Begun: true, Task: 1, TaskSince: ago(gone + time.Minute)}
		}, "stuck-run: no worker goes on with the run since 5m"},
		{"the run lasts for longer than the schedule's interval", func(d *Database) {
			d.Temporal.Longest, d.Backups.MaxAge = time.Hour, 10*time.Hour
			d.Temporal.Run = working()
			d.Temporal.Run.Started = ago(time.Hour + time.Minute)
		}, "stuck-run: the run is at work for 1h 1m, and starts that come meanwhile are dropped"},
		{"a run of every minute takes two", func(d *Database) {
			d.Temporal.Longest, d.Backups.MaxAge = time.Minute, 10*time.Hour
			d.Temporal.Run = working()
		}, ""},

		{"the last run failed", func(d *Database) {
			d.Temporal.Last = &Ended{Status: "failed", Error: "no copy could be accepted\nand more", Ended: ago(time.Hour)}
		}, "last-failed: the last run failed: no copy could be accepted"},
		{"and a backup came after", func(d *Database) {
			d.Temporal.Last = &Ended{Status: "failed", Error: "no", Ended: ago(10 * time.Hour)}
		}, ""},
		{"the last run was stopped by a person", func(d *Database) { d.Temporal.Last = &Ended{Status: "canceled", Ended: ago(time.Hour)} }, ""},
		{"the last run was terminated", func(d *Database) { d.Temporal.Last = &Ended{Status: "terminated", Ended: ago(time.Hour)} },
			"last-failed: the last run was terminated"},
		{"the last backup is not verified", func(d *Database) {
			d.Temporal.Last = &Ended{Status: "completed", State: "structure", Backup: "b4", Ended: ago(time.Hour)}
		}, "last-failed: the backup of the last run is structure, not verified"},
		{"it counts all the same", func(d *Database) {
			d.Temporal.Last = &Ended{Status: "completed", State: "structure", Backup: "b3", Ended: ago(time.Hour)}
		}, ""},

		{"the drill failed", func(d *Database) { d.Backups.Drill = &job.PulseDrill{Backup: "b2", At: ago(time.Hour)} },
			"drill-failed!: the last restore drill failed: backup b2"},
		{"the drill could not be made", func(d *Database) {
			d.Temporal.Drill = &Drills{Last: &Drilled{Status: "failed", Error: "no space left", Ended: ago(time.Hour)}}
		}, "drill-failed: the last restore drill failed: no space left"},
		{"the evidence is newer than Temporal's drill", func(d *Database) {
			d.Backups.Drill = &job.PulseDrill{Backup: "b2", At: ago(time.Hour), Passed: true}
			d.Temporal.Drill = &Drills{Last: &Drilled{Status: "failed", Error: "no space left", Ended: ago(2 * time.Hour)}}
		}, ""},

		{"the hook failed", func(d *Database) { d.Temporal.Last.Hook = "no end within 2s" },
			"hook: the owner's hook failed in the last run: no end within 2s"},
		{"the hold was lost", func(d *Database) { d.Backups.Hook = "the hold was not in force" },
			"hook: the owner's hook failed in the last run: the hold was not in force"},
		{"the hook hangs", func(d *Database) {
			d.Temporal.Run = working()
			d.Temporal.Run.Progress = &job.Progress{Step: "checkpoint", Phase: "starting", At: ago(hookSlow + time.Second)}
		}, "hook: the owner's checkpoint hook has not answered for 5m 1s"},

		{"the configuration file is another one", func(d *Database) { d.Worker.ConfigChanged = true },
			"old-config: the configuration file of host db1 is not the one that its worker runs with (0123456789ab)"},
		{"and the worker is gone since", func(d *Database) {
			d.Worker.ConfigChanged, d.Worker.Polls, d.Worker.Heard = true, false, ago(3*time.Hour)
		}, "no-worker: no worker of host db1 is there; the last word of one is 3h old"},
		{"the worker does not have the database", func(d *Database) { d.Backups, d.Temporal.Verified = nil, d.Temporal.Last },
			"old-config: the schedule of shop asks host db1 for backups, whose worker does not have it in its configuration"},

		{"the repository has not answered for long", func(d *Database) {
			d.Worker.Looked, d.Worker.Problem = ago(time.Hour), "reading the repository /backups has not come to an end"
		}, "repository: the worker last read its repository 1h ago: reading the repository /backups has not come to an end"},
		{"the repository never answered", func(d *Database) {
			d.Worker.Looked, d.Worker.Problem = time.Time{}, "reading the repository /backups has not come to an end"
			d.Temporal.Verified = d.Temporal.Last
		}, "repository: the worker cannot look at its repository: reading the repository /backups has not come to an end"},
		{"something in the repository cannot be read", func(d *Database) { d.Worker.Problem = "/backups/shop/x/manifest.json: bad" }, "repository: /backups/shop/x/manifest.json: bad"},
		{"the repository is nearly full", func(d *Database) { d.Worker.FreeBytes = 1<<30 - 1 },
			"repository: the repository has room for less than one more backup of the size of the newest"},
		{"Temporal does not answer", func(d *Database) { d.Temporal, d.Unanswered = nil, "connection refused" },
			"temporal-unreachable: Temporal does not answer the worker: connection refused"},
		{"a run and a start of when the server was asked", func(d *Database) {
			d.Temporal.AsOf, d.Temporal.Next, d.Temporal.Run = ago(16*time.Minute), ago(10*time.Minute), working()
			d.Temporal.Run.Heartbeat, d.Temporal.Run.Progress.At = ago(16*time.Minute), ago(16*time.Minute)
			d.Temporal.Run.Started = ago(17 * time.Minute)
		}, ""},
		{"a run that was stuck then", func(d *Database) {
			d.Temporal.AsOf, d.Temporal.Run = ago(16*time.Minute), working()
			d.Temporal.Run.Started, d.Temporal.Run.Heartbeat = ago(time.Hour), ago(21*time.Minute)
		}, "stuck-run: nothing was heard of step copy of the run for 5m"},
		{"the server was too busy to describe the schedule", func(d *Database) {
			d.Backups.MaxAge = 0
			*d.Temporal = Temporal{Begins: BySchedule, Partial: true, Next: ago(time.Hour), Last: d.Temporal.Last}
		}, "temporal-unreachable: Temporal is too busy to describe the schedule: how old a backup may be is not known"},
		{"nor need it", func(d *Database) {
			d.Backups.MaxAge = 50 * time.Hour
			*d.Temporal = Temporal{Begins: BySchedule, Partial: true, Next: ago(time.Hour), Last: d.Temporal.Last}
		}, ""},
		{"it was too busy, and there is no backup", func(d *Database) {
			d.Backups.MaxAge, d.Backups.Newest, d.Backups.Backups = 50*time.Hour, nil, 0
			*d.Temporal = Temporal{Begins: BySchedule, Partial: true}
		}, "no-backup: there is no verified backup"},
		{"Temporal was not asked yet", func(d *Database) { d.Temporal = nil }, ""},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := well()
			tt.change(&d)
			found := Assess(d, now)
			if tt.want == "" {
				assert.Equal(t, []Problem{}, found)
				return
			}
			require.Len(t, found, 1)
			p := found[0]
			mark := ""
			if p.Missed {
				mark = "!"
			}
			assert.Equal(t, tt.want, fmt.Sprintf("%s%s: %s", p.Kind, mark, p.Text))
			assert.NotEmpty(t, p.Hint)
			assert.NotContains(t, p.Text+p.Hint, "\n")
			seen[p.Kind] = true
		})
	}
	for _, kind := range Kinds {
		assert.True(t, seen[kind], "no test finds %s", kind)
	}
}

func TestProblemsAreInOrder(t *testing.T) {
	d := well()
	d.Temporal.Paused, d.Worker.ConfigChanged, d.Backups.MaxAge, d.Temporal.Last.Hook = true, true, time.Hour, "no"
	var kinds []string
	for _, p := range Assess(d, now) {
		kinds = append(kinds, p.Kind)
	}
	assert.Equal(t, []string{TooOld, Paused, Hook, OldConfig}, kinds)
}

func TestNothingIsKnown(t *testing.T) {
	assert.Empty(t, Assess(Database{Name: "shop", Host: "db1"}, now))
	_, known := (&Database{}).Age(now)
	assert.False(t, known)
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Hour: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m 1s", time.Hour: "1h", 90 * time.Minute: "1h 30m",
		time.Hour + time.Second: "1h", 49 * time.Hour: "2d 1h", 14 * 24 * time.Hour: "14d",
	} {
		assert.Equal(t, want, span(d), d.String())
	}
}

// Where nobody is there, waiting for a turn is waiting in vain.
func TestTurnWithoutAWorker(t *testing.T) {
	d := Database{Host: "db1", Temporal: &Temporal{Run: &Run{
		Started: ago(time.Hour), Begun: true, Heartbeat: ago(time.Hour), Waiting: true, Queued: true,
		Progress: &job.Progress{Step: "copy", Phase: job.WaitingPhase, At: ago(time.Hour)},
	}}}
	d.Worker.Heard = ago(time.Hour)
	assert.Equal(t, "nothing was heard of step copy of the run for 1h", stuckRun(&d, now).Text)
	d.Worker.Heard = now
	assert.Empty(t, stuckRun(&d, now).Text)
}

func TestKnown(t *testing.T) {
	nothing := func() Database { return Database{Name: "shpo", Temporal: &Temporal{Begins: ByHand}} }
	d := nothing()
	assert.False(t, d.Known())
	for name, change := range map[string]func(d *Database){
		"a schedule":                 func(d *Database) { d.Temporal.Begins = BySchedule },
		"a run at work":              func(d *Database) { d.Temporal.Run = working() },
		"a run that ended":           func(d *Database) { d.Temporal.Last = &Ended{} },
		"a drill":                    func(d *Database) { d.Temporal.Drill = &Drills{} },
		"a worker that has it":       func(d *Database) { d.Backups = &job.PulseDatabase{} },
		"a worker that does not say": func(d *Database) { d.Worker.Polls = true },
		"Temporal does not answer":   func(d *Database) { d.Temporal = nil },
	} {
		d := nothing()
		change(&d)
		assert.True(t, d.Known(), name)
	}
	d.Worker = Worker{Polls: true, Heard: ago(time.Second)}
	assert.False(t, d.Known(), "a worker that says what it has, and this is not of it")
}
