package livetest

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"canvasback/internal/engine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// invariants hold in every committed state of a database that the services
// write; each query counts what contradicts one, so its value must be 0.
var invariants = []engine.Assertion{
	{Name: "ledger has no gap", SQL: `SELECT coalesce(max(id), 0) - count(DISTINCT id) + count(*) - count(DISTINCT id) + count(*) FILTER (id < 1) FROM ledger`},
	{Name: "ledger entries are those written", SQL: `SELECT count(*) FROM ledger WHERE amount <> id * 7919 % 1000 - 300 OR account <> id % 100`},
	{Name: "balances are running sums", SQL: `SELECT count(*) FROM (SELECT balance, sum(amount) OVER (ORDER BY id) AS total FROM ledger) WHERE balance <> total`},
	{Name: "transfers keep the total", SQL: `SELECT sum(cents) - 1000 * 100 + count(*) - 100 FROM accounts`},
	{Name: "orders are there or counted as deleted", SQL: `SELECT (SELECT count(*) FROM ledger) - (SELECT count(*) FROM orders) - (SELECT value FROM counters WHERE name = 'deleted')`},
	{Name: "orders match the ledger", SQL: `SELECT count(*) FROM orders o LEFT JOIN ledger l USING (id) WHERE l.id IS NULL OR o.cents <> l.amount OR o.account <> l.account`},
	{Name: "batches are whole", SQL: `SELECT count(*) FROM batches b FULL JOIN (SELECT batch, count(*) AS rows, sum(value) AS total FROM readings GROUP BY batch) r ON b.id = r.batch
		WHERE b.id IS NULL OR r.batch IS NULL OR b.rows <> r.rows OR b.total <> r.total OR b.rows <> 20000`},
	{Name: "readings are those written", SQL: `SELECT count(*) FROM readings WHERE value <> i * batch % 1009 OR tag <> md5(i::VARCHAR || '-' || batch)`},
	{Name: "summary agrees with the ledger", SQL: `SELECT count(*) FROM summary s WHERE s.amount <> (SELECT sum(amount) FROM ledger WHERE id <= s.upto)`},
}

// CheckPrefix opens the database file read-write in a child process, reads
// every column of every row, and checks that it holds the ledger 1..n without
// a gap for an n of at least atLeast, with every invariant intact. It returns
// n. The file must be the test's own copy, or one whose owner has ended.
func CheckPrefix(t testing.TB, path string, atLeast int64) int64 {
	t.Helper()
	last, faults, err := inspect(path, t.TempDir())
	require.NoErrorf(t, err, "open and read %s", path)
	assert.Emptyf(t, faults, "what is wrong in %s", path)
	assert.GreaterOrEqualf(t, last, atLeast, "%s lacks entries that were committed before the backup began", path)
	return last
}

// inspect returns the last ledger entry and a line for each invariant that
// does not hold. scratch is a directory in which the engine may spill.
func inspect(path, scratch string) (last int64, faults []string, err error) {
	request := engine.ScanRequest{
		Path: path, ReadWrite: true, Level: engine.LevelFull, TempDir: scratch, Timeout: 5 * time.Minute,
		Assertions: []engine.Assertion{{Name: "last ledger entry", SQL: `SELECT coalesce(max(id), 0) FROM ledger`, Timeout: time.Minute}},
	}
	for _, invariant := range invariants {
		invariant.Expect, invariant.Timeout = "0", time.Minute
		request.Assertions = append(request.Assertions, invariant)
	}
	report, err := engine.Scan(context.Background(), request)
	if err != nil {
		return 0, nil, err
	}
	if got, want := len(report.Assertions), len(request.Assertions); got != want {
		return 0, nil, fmt.Errorf("the engine answered %d of %d queries", got, want)
	}
	for _, result := range report.Assertions[1:] {
		if !result.Passed {
			faults = append(faults, fmt.Sprintf("%s: %s faults %s", result.Name, result.Got, result.Error))
		}
	}
	last, err = strconv.ParseInt(report.Assertions[0].Got, 10, 64)
	return last, faults, err
}
