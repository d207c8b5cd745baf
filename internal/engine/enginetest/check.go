package enginetest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
)

// CheckPrefix checks that the database file and the WAL beside it, which stay
// as they are, hold a gap-free prefix of what an Owner committed, at least up
// to the ledger entry atLeast, with every invariant of its load. It returns
// the last ledger entry.
func CheckPrefix(t testing.TB, path string, atLeast int64) int64 {
	t.Helper()
	return CheckEncryptedPrefix(t, path, "", atLeast)
}

// CheckEncryptedPrefix is CheckPrefix of a file with the key.
func CheckEncryptedPrefix(t testing.TB, path, key string, atLeast int64) int64 {
	t.Helper()
	scratch := filepath.Join(t.TempDir(), filepath.Base(path))
	CopyFile(t, path, scratch)
	if _, err := os.Stat(path + ".wal"); err == nil {
		CopyFile(t, path+".wal", scratch+".wal")
	}
	_, err := engine.Scan(context.Background(), engine.ScanRequest{
		Path: scratch, Key: key, ReadWrite: true, Level: engine.LevelFull, TempDir: filepath.Dir(scratch), Timeout: 5 * time.Minute,
	})
	require.NoError(t, err)

	got := queryAll(t, scratch, key,
		"SELECT coalesce(max(id), 0) FROM ledger",
		"SELECT count(*) FROM ledger",
		"SELECT count(DISTINCT id) FROM ledger",
		"SELECT sum(balance) = count(*) * "+strconv.Itoa(initialBalance)+" FROM accounts",
		`SELECT count(*) FROM accounts a
			LEFT JOIN (SELECT src, sum(amount) AS n FROM ledger GROUP BY src) o ON o.src = a.id
			LEFT JOIN (SELECT dst, sum(amount) AS n FROM ledger GROUP BY dst) i ON i.dst = a.id
			WHERE balance <> `+strconv.Itoa(initialBalance)+` - coalesce(o.n, 0) + coalesce(i.n, 0)`,
		"SELECT count(*) FROM ledger WHERE length(note) % length('note ' || id || ' ') <> 0",
		`SELECT count(*) FROM (SELECT batch FROM bulk GROUP BY batch
			HAVING count(*) <> max(seq) + 1 OR count(DISTINCT seq) <> count(*) OR min(seq) <> 0)`,
		"SELECT count(*) FROM bulk WHERE payload NOT IN (md5(seq::VARCHAR), md5(md5(seq::VARCHAR)), md5(md5(md5(seq::VARCHAR))))",
		"SELECT count(*) FROM (SELECT 1 FROM churn HAVING count(*) <> coalesce(max(seq) + 1, 0) OR count(DISTINCT batch) > 1)",
	)
	last, err := strconv.ParseInt(got[0], 10, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, last, atLeast, "the copy lacks commits that were confirmed before it began")
	require.Equal(t, got[0], got[1], "rows of the ledger")
	require.Equal(t, got[0], got[2], "different IDs of the ledger")
	require.Equal(t, "true", got[3], "the accounts keep their sum")
	require.Equal(t, "0", got[4], "accounts that the ledger does not explain")
	require.Equal(t, "0", got[5], "ledger notes that were not written so")
	require.Equal(t, "0", got[6], "batches that are not whole")
	require.Equal(t, "0", got[7], "payloads that were not written so")
	require.Equal(t, "0", got[8], "replaced tables that are not whole")
	return last
}

// CopyFile copies a file that nobody writes.
func CopyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}
