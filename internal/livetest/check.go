package livetest

import (
	"context"
	_ "embed" // invariants.json
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"canvasback/internal/engine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// invariantList says what holds in every committed state of a database that
// the services write. Each query counts what contradicts one, so its value must
// be 0; one with a condition applies where that query's value is not 0.
//
//go:embed invariants.json
var invariantList []byte

// invariants returns those without a condition, in the engine's form.
func invariants() ([]engine.Assertion, error) {
	var list []struct{ Name, When, SQL string }
	if err := json.Unmarshal(invariantList, &list); err != nil {
		return nil, fmt.Errorf("invariants.json: %w", err)
	}
	var always []engine.Assertion
	for _, i := range list {
		if i.When == "" {
			always = append(always, engine.Assertion{Name: i.Name, SQL: i.SQL, Expect: "0", Timeout: time.Minute})
		}
	}
	return always, nil
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
	always, err := invariants()
	if err != nil {
		return 0, nil, err
	}
	request.Assertions = append(request.Assertions, always...)
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
