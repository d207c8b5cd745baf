package app

import (
	"regexp"
	"strings"

	"canvasback/internal/job"
)

// Task is a kind of work that Temporal does for a database, by a schedule or
// when asked.
type Task string

const (
	TaskBackup  Task = "" // in Specs that are stored already it has no name
	TaskDrill   Task = "drill"
	TaskRestore Task = "restore" // only ever when asked
)

// String is how a person calls one run of it.
func (t Task) String() string {
	if t == TaskBackup {
		return "backup"
	}
	return string(t)
}

// ID is that of the schedule, and the base of the workflow IDs.
func (t Task) ID(database string) string {
	switch t {
	case TaskDrill:
		return job.DrillID(database)
	case TaskRestore:
		return job.RestoreID(database)
	}
	return job.BackupID(database)
}

// manualID is the workflow ID of a run that no schedule starts.
func (t Task) manualID(database string) string {
	if t == TaskRestore {
		return t.ID(database)
	}
	return t.ID(database) + "-now"
}

// started is what the server puts behind the base of a workflow ID.
var started = regexp.MustCompile(`^-\d{4}-\d\d-\d\dT[\d:]+Z$`)

// begins says whether a workflow ID is of the database's runs, however they were
// started.
func (t Task) begins(database, id string) bool {
	rest, ours := strings.CutPrefix(id, t.ID(database))
	return ours && (rest == "" || id == t.manualID(database) || started.MatchString(rest))
}

func (t Task) workflow() string {
	switch t {
	case TaskDrill:
		return job.DrillWorkflow
	case TaskRestore:
		return job.RestoreWorkflow
	}
	return job.BackupWorkflow
}

// input is what a schedule starts the workflow with.
func (t Task) input(database string) any {
	if t == TaskDrill {
		return job.DrillInput{Database: database}
	}
	return job.BackupInput{Database: database}
}

// asks says whether a schedule's stored argument is the task's input.
func (t Task) asks(database string, arg payload) bool {
	if t == TaskDrill {
		var in job.DrillInput
		return fromPayload(arg, &in) && any(in) == t.input(database)
	}
	var in job.BackupInput
	return fromPayload(arg, &in) && any(in) == t.input(database)
}

// Of is how a person calls the run for a database.
func (t Task) Of(database string) string { return t.String() + " of " + database }
