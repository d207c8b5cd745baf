package workflows

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/job"
)

// FuzzInput reads any JSON as each workflow's input. That is never an error of the
// SDK's, and names that pass are no paths.
func FuzzInput(f *testing.F) {
	f.Add([]byte(`{"database":"shop"}`))
	f.Add([]byte(`{"database":"../../etc","backup":"..","target":"/etc/passwd"}`))
	f.Add([]byte(`[1e400]`))
	f.Add([]byte(`{"database":{"database":null},"at":"yesterday"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		var backup given[job.BackupInput]
		var drill given[job.DrillInput]
		var restore given[job.RestoreInput]
		require.NoError(t, json.Unmarshal(data, &backup))
		require.NoError(t, json.Unmarshal(data, &drill))
		require.NoError(t, json.Unmarshal(data, &restore))
		for _, n := range []name{
			databaseName(backup.in.Database), databaseName(drill.in.Database), backupName(drill.in.Backup),
			databaseName(restore.in.Database), backupName(restore.in.Backup), targetName(restore.in.Target),
		} {
			if n.may.MatchString(n.text) {
				require.NotContains(t, n.text, "/")
				require.NotContains(t, n.text, "\n")
				require.LessOrEqual(t, len(n.text), 100)
			}
		}
	})
}
