package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"canvasback/internal/engine/enginetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sound is a small database in which every invariant holds: 50 ledger entries,
// the first ten orders deleted, two batches.
var sound = []string{
	`CREATE TABLE ledger AS SELECT id, (id % 100)::INTEGER AS account, id * 7919 % 1000 - 300 AS amount,
		(sum(id * 7919 % 1000 - 300) OVER (ORDER BY id))::BIGINT AS balance FROM range(1, 51) t(id)`,
	`CREATE TABLE orders AS SELECT id, account, amount AS cents, 'new' AS status, 'note' AS note FROM ledger WHERE id > 10`,
	`CREATE TABLE accounts AS SELECT i AS id, 1000 AS cents FROM range(100) t(i)`,
	`CREATE TABLE counters AS SELECT unnest(['deleted', 'stock']) AS name, unnest([10, 2000]) AS value`,
	`CREATE TABLE readings AS SELECT batch, i, i * batch % 1009 AS value, md5(i::VARCHAR || '-' || batch) AS tag
		FROM range(1, 3) b(batch), range(20000) t(i)`,
	`CREATE TABLE batches AS SELECT batch AS id, count(*) AS rows, sum(value)::BIGINT AS total FROM readings GROUP BY batch`,
	`CREATE TABLE notes AS SELECT i AS id, 'note ' || i AS text, 7 AS extra FROM range(1000) t(i)`,
	`CREATE TABLE stock AS SELECT i AS id, i * 31 % 997 AS pieces FROM range(2000) t(i)`,
	`CREATE TABLE flood AS SELECT batch, i, i * 2654435761 % 4294967291 * 1048573 + batch AS value
		FROM range(1, 3) b(batch), range(3000) t(i)`,
	`CREATE TABLE floods AS SELECT batch AS id, count(*) AS rows, sum(value % 1009)::BIGINT AS total FROM flood GROUP BY batch`,
	`CREATE TABLE summary AS SELECT 40 AS upto, sum(amount)::BIGINT AS amount FROM ledger WHERE id <= 40`,
}

// damages are what can be wrong in a copy, each with the invariants that name
// it.
var damages = []struct {
	name, damage string
	want         []string
	last         int64
}{
	{"sound", `SELECT 1`, nil, 50},
	{"newest entry missing with all that belongs to it", `BEGIN; DELETE FROM ledger WHERE id = 50; DELETE FROM orders WHERE id = 50; COMMIT`, nil, 49},
	{"entry missing in the middle", `DELETE FROM ledger WHERE id = 5`,
		[]string{"ledger has no gap", "balances are running sums", "orders are there or counted as deleted", "summary agrees with the ledger"}, 50},
	{"entry there twice", `INSERT INTO ledger FROM ledger WHERE id = 50`,
		[]string{"ledger has no gap", "balances are running sums", "orders are there or counted as deleted"}, 50},
	{"old amount", `UPDATE ledger SET amount = amount + 1 WHERE id = 3`,
		[]string{"ledger entries are those written", "balances are running sums", "summary agrees with the ledger"}, 50},
	{"half a transfer", `UPDATE accounts SET cents = cents - 5 WHERE id = 7`, []string{"transfers keep the total"}, 50},
	{"deleted order is back", `INSERT INTO orders SELECT id, account, amount, 'new', '' FROM ledger WHERE id = 4`,
		[]string{"orders are there or counted as deleted"}, 50},
	{"order of another entry", `UPDATE orders SET cents = cents + 1 WHERE id = 20`, []string{"orders match the ledger"}, 50},
	{"batch lacks rows", `DELETE FROM readings WHERE batch = 2 AND i >= 18000`, []string{"batches are whole"}, 50},
	{"rows lack their batch", `DELETE FROM batches WHERE id = 1`, []string{"batches are whole"}, 50},
	{"values of two readings exchanged", `UPDATE readings SET value = CASE i WHEN 3 THEN 4 ELSE 3 END WHERE batch = 1 AND i IN (3, 4)`,
		[]string{"readings are those written"}, 50},
	{"note of another row", `UPDATE notes SET text = 'note 1' WHERE id = 2`, []string{"notes are those written"}, 50},
	{"stock is gone", `DROP TABLE stock`, []string{"stock is there when it was counted"}, 50},
	{"flood lacks rows", `DELETE FROM flood WHERE batch = 2 AND i >= 2000`, []string{"floods are whole"}, 50},
	{"rows of another flood", `UPDATE flood SET value = value + 1009 WHERE batch = 1 AND i < 2000`, []string{"floods are those written"}, 50},
	{"flood that was rolled back", `BEGIN; INSERT INTO flood SELECT 3, 0, 3; INSERT INTO floods VALUES (3, 1, 3); COMMIT`,
		[]string{"no flood that was rolled back"}, 50},
}

// TestInspect shows that each invariant without a condition can fail.
func TestInspect(t *testing.T) {
	named := map[string]bool{}
	for _, test := range damages {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.duckdb")
			enginetest.Create(t, path, append(sound[:len(sound):len(sound)], test.damage)...)
			last, faults, err := inspect(path, t.TempDir())
			require.NoError(t, err)
			assert.Equal(t, test.last, last)
			require.Len(t, faults, len(test.want), "%q", faults)
			for i, want := range test.want {
				assert.Contains(t, faults[i], want+": ")
				named[want] = true
			}
		})
	}
	always, err := invariants()
	require.NoError(t, err)
	for _, i := range always {
		assert.Truef(t, named[i.Name], "nothing breaks %q", i.Name)
	}
}

// TestCheckersTellBadCopies runs each owner's checker on files that are bad in
// each of the ways that it tells apart.
func TestCheckersTellBadCopies(t *testing.T) {
	ways := []struct {
		name, damage    string
		atLeast, atMost int64
		kind, fault     string
	}{
		{"sound", `SELECT 1`, 50, 50, "", ""},
		{"wrong data", damages[2].damage, 0, 50, BadData, damages[2].want[0]},
		{"two faults", `UPDATE notes SET extra = NULL WHERE id = 3`, 0, 50, BadData, "the added column has its default"},
		{"table with a condition", `UPDATE stock SET pieces = 998 WHERE id = 3`, 0, 50, BadData, "stock is what was counted"},
		{"condition that does not apply", `ALTER TABLE notes DROP COLUMN extra`, 0, 50, "", ""},
		{"table gone", `DROP TABLE summary`, 0, 50, BadRead, "summary"},
		{"commits lost", `SELECT 1`, 51, 60, Lost, "the last"},
		{"more than was committed", `SELECT 1`, 0, 49, Lost, "the last"},
	}
	originals := t.TempDir()
	for i, way := range ways {
		enginetest.Create(t, filepath.Join(originals, fmt.Sprint(i)), append(sound[:len(sound):len(sound)], way.damage)...)
	}
	for _, kind := range Kinds(t, bin) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			for i, way := range ways {
				path := filepath.Join(t.TempDir(), "copy.duckdb")
				require.NoError(t, copyFile(t.Context(), filepath.Join(originals, fmt.Sprint(i)), path, nil))
				verdict, err := kind.Check(t, path, way.atLeast, way.atMost)
				require.NoError(t, err)
				assert.Equalf(t, way.kind, verdict.Kind, "%s: %q", way.name, verdict.Faults)
				if way.fault == "" {
					assert.Emptyf(t, verdict.Faults, way.name)
				} else if assert.NotEmpty(t, verdict.Faults, way.name) {
					assert.Containsf(t, verdict.Faults[0], way.fault, way.name)
				}
				assert.EqualValues(t, 50, verdict.Last)
			}
			found := map[string]bool{}
			for block := int64(-1); block < 20 && len(found) < 2; block++ {
				path := filepath.Join(t.TempDir(), "copy.duckdb")
				require.NoError(t, copyFile(t.Context(), filepath.Join(originals, "0"), path, nil))
				if !flipByte(t, path, blocksStart+block*blockBytes+1000) {
					break
				}
				verdict, err := kind.Check(t, path, 0, 50)
				require.NoError(t, err)
				found[verdict.Kind] = true
				delete(found, "") // a free block
			}
			assert.Equal(t, map[string]bool{BadOpen: true, BadRead: true}, found, "flipped bytes of a block each")
			_, err := kind.Check(t, filepath.Join(t.TempDir(), "none.duckdb"), 0, 50)
			require.Error(t, err, "there is no copy")
		})
	}
}

const (
	blocksStart = 3 * 4096
	blockBytes  = 256 << 10
)

// flipByte changes the byte at the offset and tells whether there is one.
func flipByte(t *testing.T, path string, offset int64) bool {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	if offset = max(offset, 4096+100); offset >= int64(len(content)) {
		return false
	}
	content[offset] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return true
}
