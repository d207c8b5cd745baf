package livetest

import (
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
	`CREATE TABLE counters AS SELECT 'deleted' AS name, 10 AS value`,
	`CREATE TABLE readings AS SELECT batch, i, i * batch % 1009 AS value, md5(i::VARCHAR || '-' || batch) AS tag
		FROM range(1, 3) b(batch), range(20000) t(i)`,
	`CREATE TABLE batches AS SELECT batch AS id, count(*) AS rows, sum(value)::BIGINT AS total FROM readings GROUP BY batch`,
	`CREATE TABLE summary AS SELECT 40 AS upto, sum(amount)::BIGINT AS amount FROM ledger WHERE id <= 40`,
}

// TestInspect shows that each invariant can fail.
func TestInspect(t *testing.T) {
	for _, test := range []struct {
		name, damage string
		want         []string // the invariants that name it
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
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.duckdb")
			enginetest.Create(t, path, append(sound[:len(sound):len(sound)], test.damage)...)
			last, faults, err := inspect(path, t.TempDir())
			require.NoError(t, err)
			assert.Equal(t, test.last, last)
			require.Len(t, faults, len(test.want), "%q", faults)
			for i, want := range test.want {
				assert.Contains(t, faults[i], want+": ")
			}
		})
	}
}
