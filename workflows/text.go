package workflows

import (
	"fmt"
	"path"
	"strings"

	"canvasback/internal/human"
	"canvasback/internal/job"
)

// What follows says what each step came to, in a line of plain text. Words are
// kept short: the Temporal UI breaks none, and cuts off what does not fit.

func checkpointText(r job.CheckpointResult) string {
	var parts []string
	switch {
	case r.Error != "":
		parts = append(parts, "the owner's hook failed, going on without it: "+r.Error)
	case r.Mode == "none":
		parts = append(parts, "none is asked for")
	default:
		parts = append(parts, fmt.Sprintf("%s: iteration %d, then %d", r.Mode, r.IterationBefore, r.IterationAfter))
	}
	switch {
	case r.WALBytesAfter != r.WALBytesBefore:
		parts = append(parts, fmt.Sprintf("WAL %s, then %s", human.Bytes(r.WALBytesBefore), human.Bytes(r.WALBytesAfter)))
	case r.WALBytesAfter > 0:
		parts = append(parts, human.Bytes(r.WALBytesAfter)+" of WAL are copied along")
	}
	if r.OwnerPID != 0 {
		parts = append(parts, fmt.Sprintf("held by %s (PID %d)", path.Base(r.OwnerExe), r.OwnerPID))
	}
	return strings.Join(parts, "; ")
}

func copyText(r job.CopyResult) string {
	text := fmt.Sprintf("backup %s: %s by rule %s at attempt %d", r.ID, human.Bytes(r.Bytes), r.Rule, r.Attempts)
	if r.Seconds > 0 {
		text += fmt.Sprintf("; %s read, %s/s", human.Bytes(r.BytesRead), human.Bytes(int64(float64(r.BytesRead)/r.Seconds)))
	}
	if r.BytesResumed > 0 {
		text += fmt.Sprintf("; went on after %s that were there", human.Bytes(r.BytesResumed))
	}
	if r.Tries > 1 {
		text += fmt.Sprintf("; the step was begun %d times", r.Tries)
	}
	return text
}

func verifyText(r job.VerifyResult) string {
	text := fmt.Sprintf("%s; %s", r.State, readText(r.Level, r.Engine, r.Tables, r.Rows, r.Assertions))
	if r.Reason != "" {
		text += "; " + r.Reason
	}
	return text
}

// readText says how deep something was looked at, and what was there.
func readText(level, engine string, tables int, rows int64, assertions int) string {
	text := "level " + level
	if engine != "" {
		text += fmt.Sprintf(" with DuckDB %s: %s, %s", engine, human.Count(int64(tables), "table"), human.Count(rows, "row"))
	}
	if assertions > 0 {
		text += fmt.Sprintf(", %s hold", human.Count(int64(assertions), "assertion"))
	}
	return text
}

func pruneText(r job.PruneResult) string {
	text := fmt.Sprintf("%d kept, %d removed", len(r.Kept), len(r.Removed))
	for _, d := range r.Removed {
		text += fmt.Sprintf("; %s: %s", d.ID, d.Reason)
	}
	return text
}

func chosenText(r job.ChooseResult) string {
	return fmt.Sprintf("backup %s, %s, of %s, %s", r.ID, r.State, r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), human.Bytes(r.Bytes))
}

func restoredText(bytes int64, seconds float64) string {
	text := human.Bytes(bytes)
	if seconds > 0 {
		text += fmt.Sprintf(" in %s, %s/s", human.Seconds(seconds), human.Bytes(int64(float64(bytes)/seconds)))
	}
	return text
}

func recordText(id string) string {
	if id == "" {
		return "the scratch directory is removed"
	}
	return "the evidence is kept beside backup " + id
}

// backupVerdict is the end of a run that did not fail, in Markdown.
func backupVerdict(r job.BackupResult) string {
	text := fmt.Sprintf("Backup `%s` is **%s**: %s by rule %s, %s, %s, in %s.", r.ID, r.State, human.Bytes(r.Bytes), r.Rule,
		human.Count(int64(r.Tables), "table"), human.Count(r.Rows, "row"), human.Seconds(r.DurationSeconds))
	if r.Reason != "" {
		text += "\n\nWhy it is not verified: " + plain(r.Reason)
	}
	return text
}
