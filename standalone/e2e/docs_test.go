package e2e

import (
	"time"

	"canvasback/internal/job"
)

// The documents that the starter prints, as a script would read them.
type (
	runDoc struct {
		WorkflowID string `json:"workflow_id"`
		RunID      string `json:"run_id"`
	}
	resultDoc struct {
		ID, Database, State, Rule string
		Attempts                  int
		Bytes                     int64
		CopySeconds               float64 `json:"copy_seconds"`
		DurationSeconds           float64 `json:"duration_seconds"`
		TableCount                int     `json:"table_count"`
		RowCount                  int64   `json:"row_count"`
		Pruned                    []job.Decision
		runDoc
	}
	scheduleDoc struct {
		Database, Host, Schedule, Timezone, Jitter, Overlap string
		CatchupWindow                                       string `json:"catchup_window"`
		Paused, Edited                                      bool
		Note                                                string
		Next                                                []string
		Running, Recent                                     []runDoc
	}
	statusDoc struct {
		Database, Host, Schedule, Begins string
		Paused, Worker                   bool
		Next                             *time.Time
		Last                             *struct {
			runDoc
			Status, Error, Backup, State string
		}
		Running *struct {
			runDoc
			Progress *job.Progress
		}
		Drill *struct {
			Cron string `json:"schedule"`
			Next *time.Time
			Last *struct {
				runDoc
				Status string
				Passed bool
				Backup string
			}
		}
		Evidence *struct {
			Backup string
			Passed bool
		}
	}
	stopDoc struct {
		runDoc
		Stopped   bool
		CronEnded bool `json:"cron_ended"`
		Outcome   string
	}
	cronDoc struct {
		runDoc
		Already bool
		Next    string
	}
)

// status is what it is whether an objective is missed or not.
func (w *world) status() statusDoc {
	w.t.Helper()
	return w.told(0).statusDoc
}

// copied waits until a running copy has told of so many bytes, and returns how
// many it told of last.
func (w *world) copied(atLeast int64) int64 {
	w.t.Helper()
	var done int64
	eventually(w.t, "the copy gets on", func() bool {
		if s := w.status(); s.Running != nil && s.Running.Progress != nil && s.Running.Progress.Step == "copy" {
			done = s.Running.Progress.Done
		}
		return done >= atLeast && done > 0
	})
	return done
}

// staged lists what runs have left in the repository outside of backups.
func (w *world) staged() []string { return glob(w.t, w.repository, w.name(), ".staging", "*") }
