package job

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var decisions = []Decision{{ID: "20261101T030000Z-i7-00aa", Reason: "older than the newest 10"}}

// golden holds a value of every type that is stored in histories, with every
// field set.
var golden = map[string]any{
	"backup_input": BackupInput{Database: "shop"},
	"backup_result": BackupResult{
		ID: "20261123T034600Z-i42-1f3a", Database: "shop", State: "verified", Rule: "A", Attempts: 2, Bytes: 1 << 30,
		Tables: 3, Rows: 12345, Level: "full", Engine: "v1.5.6", Assertions: 2, Reason: "the engine is too old", CopySeconds: 1.5, DurationSeconds: 2.25,
		Checkpoint: checkpointed, Pruned: decisions,
	},
	"checkpoint_input":  CheckpointInput{Database: "shop"},
	"checkpoint_result": checkpointed,
	"copy_input":        CopyInput{Database: "shop", Run: "0198c1b2", Round: 1},
	"copy_result": CopyResult{ID: "20261123T034600Z-i42-1f3a", Rule: "A", Attempts: 2, Bytes: 1 << 30, WALBytes: 4096,
		BytesRead: 2 << 30, BytesResumed: 5 << 20, Seconds: 1.5, Tries: 2},
	"verify_input": VerifyInput{Database: "shop", ID: "20261123T034600Z-i42-1f3a", Run: "0198c1b2"},
	"verify_result": VerifyResult{State: "structure", Level: "bytes", Engine: "v1.5.6", Tables: 3, Rows: 12345, Seconds: 0.5,
		Reason: "the engine is too old", Blocks: 17, Assertions: 2},
	"prune_input":   PruneInput{Database: "shop", Run: "0198c1b2"},
	"prune_result":  PruneResult{Kept: []Decision{{ID: "20261123T034600Z-i42-1f3a", Reason: "newest verified"}}, Removed: decisions},
	"restore_input": RestoreInput{Database: "shop", Backup: "latest", At: &at, Target: "spare", KeepOld: true},
	"restore_result": RestoreResult{ID: "20261123T034600Z-i42-1f3a", Database: "shop", Target: "spare", Path: "/srv/spare.duckdb",
		MovedAside: []string{"/srv/spare.duckdb.before-20261123T040000Z"}, Bytes: 1 << 30, Tables: 3, Rows: 12345, Seconds: 1.5},
	"drill_input": DrillInput{Database: "shop", Backup: "random"},
	"drill_result": DrillResult{ID: "20261123T034600Z-i42-1f3a", Database: "shop", Level: "assert", Engine: "v1.5.6", Bytes: 1 << 30,
		RestoreSeconds: 2, BytesPerSecond: 1 << 29, VerifySeconds: 3.5, Tables: 3, Rows: 12345, Assertions: 2},
	"choose_input":         ChooseInput{Database: "shop", Backup: "random", At: &at, Run: "0198c1b2", Drill: true},
	"choose_result":        ChooseResult{ID: "20261123T034600Z-i42-1f3a", State: "verified", Started: at, Finished: at.Add(time.Minute), Bytes: 1 << 30},
	"restore_step_input":   RestoreStepInput{Database: "shop", ID: "20261123T034600Z-i42-1f3a", Target: "spare", KeepOld: true},
	"drill_restore_result": restored,
	"drill_step_input":     DrillStepInput{Database: "shop", ID: "20261123T034600Z-i42-1f3a", Run: "0198c1b2"},
	"drill_verify_result":  proved,
	"drill_record_input": DrillRecordInput{Database: "shop", Run: "0198c1b2", ID: "20261123T034600Z-i42-1f3a", Restored: restored,
		Verified: proved, Failure: "table main.orders has 3 rows, then 2"},
	"announce_input": AnnounceInput{Database: "shop", Task: AnnounceBackup, WorkflowID: "canvasback-backup-shop", Run: "0198c1b2", Started: at, End: AnnounceFailed,
		Backup: "20261123T034600Z-i42-1f3a", State: "structure", Reason: "the engine is too old", Kind: "NoSuchFile", Message: "no such file", Hint: "check the path"},
	"announce_result": AnnounceResult{Nobody: true, Told: []Told{{Event: "ok", Channel: "ping"}},
		Untold: []Undelivered{{Event: "failure", Channel: "webhook", Error: "https://alerts.example answers 500"}}},
	"run_progress": RunProgress{Title: "Backup of shop", Ended: true, Step: "prune", Since: &at, Backup: "20261123T034600Z-i42-1f3a", State: "verified", Rule: "A",
		Attempts: 2, Bytes: 1 << 30, Tables: 3, Rows: 12345, Verdict: "It **failed**",
		Steps: []RunStep{{Step: "copy", Began: at, Seconds: 1.5, Result: "the disk is full", Failed: true}}},
	"stop_input":        StopInput{Reason: "the disk is being moved"},
	"stop_result":       StopResult{Outcome: "stopped, and what it had staged is removed"},
	"attributes_result": AttributesResult{Names: []string{AttributeDatabase}},
	"run_memo":          RunMemo{Outcome: "verified", Backup: "20261123T034600Z-i42-1f3a", Rule: "A", Bytes: 1 << 30, Database: "shop", Host: "db1"},
	"abandon_input":     AbandonInput{Database: "shop", Run: "0198c1b2"},
	"pulse_input":       PulseInput{Host: "db1"},
	"pulse": Pulse{Host: "db1", Version: "v1.2.3", PID: 4711, Started: at, At: at.Add(time.Hour), Looked: at.Add(time.Minute), Config: "0123456789ab",
		ConfigChanged: true, FreeBytes: 1 << 40, RepositoryBytes: 1 << 34, Problem: "read /backups: input/output error", Databases: []PulseDatabase{{
			Name: "shop", MaxAge: 26 * time.Hour, Backups: 10, GrowthPerDay: 12.5, Hook: "exit status 1",
			Newest: &PulseBackup{ID: "20261123T034600Z-i42-1f3a", Started: at, Finished: at.Add(time.Minute), Bytes: 1 << 30, Rule: "A"},
			Drill:  &PulseDrill{Backup: "20261123T034600Z-i42-1f3a", At: at, Passed: true, RestoreSeconds: 2},
		}}},
	"progress": Progress{Text: "copy: half of it", Step: "copy", Phase: "blocks", Rule: "A", Attempt: 1, Done: 10, Total: 20, Rate: 2.5,
		At: time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)},
}

var (
	at       = time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	restored = DrillRestoreResult{Bytes: 1 << 30, Seconds: 2}
	proved   = DrillVerifyResult{Level: "assert", Engine: "v1.5.6", Tables: 3, Rows: 12345, Assertions: 2, Seconds: 3.5}
)

var checkpointed = CheckpointResult{
	Mode: "command", IterationBefore: 41, IterationAfter: 42, WALBytesBefore: 4096, WALBytesAfter: 0,
	OwnerPID: 17, OwnerExe: "/usr/bin/node", Seconds: 0.25, Error: "exit status 1",
}

// A history that is open during an upgrade was written by the older program:
// what it holds must still be read, and be written the same.
func TestStoredFormIsUnchanged(t *testing.T) {
	for name, value := range golden {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".json")
			got, err := json.MarshalIndent(value, "", "  ")
			require.NoError(t, err)
			got = append(got, '\n')
			if *update {
				require.NoError(t, os.WriteFile(path, got, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))

			back := reflect.New(reflect.TypeOf(value))
			dec := json.NewDecoder(bytes.NewReader(want))
			dec.DisallowUnknownFields()
			require.NoError(t, dec.Decode(back.Interface()))
			assert.Equal(t, value, back.Elem().Interface())
		})
	}
}

func TestEveryFieldIsInTheGoldenValues(t *testing.T) {
	for name, value := range golden {
		v := reflect.ValueOf(value)
		for i := range v.NumField() {
			if name == "checkpoint_result" && v.Type().Field(i).Name == "WALBytesAfter" {
				continue // zero is what a checkpoint is for
			}
			assert.False(t, v.Field(i).IsZero(), "%s: %s has no value", name, v.Type().Field(i).Name)
		}
	}
}

func TestGoldenFilesAllHaveAValue(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	assert.Len(t, files, len(golden))
}

func TestNames(t *testing.T) {
	assert.Equal(t, "canvasback@db1", Queue("db1"))
	assert.Equal(t, "canvasback-backup-shop", BackupID("shop"))
	assert.Equal(t, "canvasback-drill-shop", DrillID("shop"))
	assert.Equal(t, "canvasback-restore-shop", RestoreID("shop"))
	assert.Equal(t, "canvasback-host-db1", HostID("db1"))
	assert.Equal(t, "copy: blocks, attempt 1, 10 B of 20 B (50 %), 2 B/s, rule A", golden["progress"].(Progress).String())
}
