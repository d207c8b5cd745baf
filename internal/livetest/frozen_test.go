package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFrozenCopiesAreTheOwnersState shows that the judge of bad copies is right:
// a stopped owner's files are one state of it, it changes nothing meanwhile, and
// it goes on afterwards. The owner is DuckDB 1.4.1, because 1.5.6 has moments in
// which its files are no state of it.
func TestFrozenCopiesAreTheOwnersState(t *testing.T) {
	t.Parallel()
	kind := Kinds(t, bin)[1]
	database := filepath.Join(t.TempDir(), "shop.duckdb")
	owner := kind.Start(t, database, Load{Threshold: "256KB", Pause: time.Millisecond})
	owner.WaitFor(t, 60)
	for i := range 5 {
		target := filepath.Join(t.TempDir(), fmt.Sprintf("frozen%d.duckdb", i))
		taken, err := Source{Kind: kind, Owner: owner, Limit: 1}.Frozen(t.Context(), target)
		require.NoError(t, err)
		stopped, err := owner.stopped()
		require.NoError(t, err)
		assert.False(t, stopped)
		verdict, err := kind.Check(t, target, taken.AtLeast, taken.AtMost)
		require.NoError(t, err)
		assert.Emptyf(t, verdict.Kind, "%q", verdict.Faults)
		owner.WaitFor(t, owner.Committed(t)+1)
	}

	require.NoError(t, owner.freeze())
	before, err := os.ReadFile(database)
	require.NoError(t, err)
	after, err := os.ReadFile(database)
	require.NoError(t, err)
	assert.Equal(t, len(before), len(after))
	assert.True(t, string(before) == string(after), "a stopped owner writes")
	stopped, err := owner.stopped()
	require.NoError(t, err)
	assert.True(t, stopped)
}
