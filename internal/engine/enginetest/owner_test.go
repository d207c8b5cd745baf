package enginetest_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "64KB", BulkEvery: 5, BulkRows: 500, CheckpointEvery: 40})
	o.WaitCommits(t, 100)
	o.Exec(t, "CREATE TABLE extra(i INTEGER)")
	o.WaitCommits(t, 10)
	o.Freeze(t)
	frozen := o.Committed()
	o.Thaw(t)
	o.WaitCommits(t, 10)
	o.Kill(t)
	atLeast := o.Committed()
	assert.GreaterOrEqual(t, atLeast, frozen+10)
	first := enginetest.CheckPrefix(t, path, atLeast)
	assert.FileExists(t, path+".wal", "the owner did not close the database")
	assert.Equal(t, first, enginetest.CheckPrefix(t, path, atLeast), "checking changes no file")

	// The next owner goes on where the first was killed.
	o = enginetest.StartOwner(t, path, enginetest.OwnerOptions{Seed: 2})
	o.WaitCommits(t, 50)
	o.Stop(t)
	assert.Greater(t, enginetest.CheckPrefix(t, path, o.Committed()), first)
	assert.NoFileExists(t, path+".wal")
}

func TestCheckPrefix_finds_what_is_wrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{BulkEvery: 5, BulkRows: 100})
	o.WaitCommits(t, 30)
	o.Stop(t)
	last := enginetest.CheckPrefix(t, path, 0)
	tests := []struct {
		name, stmt string
		atLeast    int64
	}{
		{"a commit after the copy's last", "SELECT 1", last + 1},
		{"a gap in the ledger", "DELETE FROM ledger WHERE id = 7", 0},
		{"an entry twice", "INSERT INTO ledger SELECT * FROM ledger WHERE id = 7", 0},
		{"a lost update", "UPDATE accounts SET balance = balance + 1 WHERE id = 3", 0},
		{"half a transfer that keeps the sum", "UPDATE accounts SET balance = balance + CASE id WHEN 3 THEN 1 ELSE -1 END WHERE id IN (3, 4)", 0},
		{"a foreign note", "UPDATE ledger SET note = 'x' WHERE id = 7", 0},
		{"half a batch", "DELETE FROM bulk WHERE seq = 50", 0},
		{"a row of a batch twice", "INSERT INTO bulk SELECT * FROM bulk WHERE seq = 50", 0},
		{"a foreign payload", "UPDATE bulk SET payload = 'x' WHERE seq = 50", 0},
		{"a table half replaced", "DELETE FROM churn WHERE seq = 50", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "live.duckdb")
			enginetest.CopyFile(t, path, bad)
			enginetest.Create(t, bad, tt.stmt)
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				enginetest.CheckPrefix(r, bad, tt.atLeast)
			}()
			<-done
			assert.True(t, r.failed)
		})
	}
	require.FileExists(t, path)
}

// recorder is a test whose failure is what is tested.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) FailNow()              { r.failed = true; runtime.Goexit() }
