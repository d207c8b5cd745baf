package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// assert runs each assertion; what it finds is a result, never an error.
func (s *session) assert(ctx context.Context, assertions []Assertion) []AssertionResult {
	var results []AssertionResult
	for _, a := range assertions {
		r := AssertionResult{Name: a.Name}
		got, err := s.value(ctx, a)
		if err != nil {
			r.Error, r.Undecided = shorten(err.Error()), undecided(err)
		} else {
			r.Passed = got == a.Expect
			r.Got = shorten(got)
		}
		results = append(results, r)
	}
	return results
}

// errNoResult is wrapped by the cause of a query that took too long.
var errNoResult = errors.New("no result")

func undecided(err error) string {
	switch {
	case errors.Is(err, errNoResult):
		return UndecidedTime
	case classify(err).Class == classMemory:
		return UndecidedMemory
	default:
		return ""
	}
}

// value runs a query that must return one row of one column. As a subquery it
// can be nothing but a query.
func (s *session) value(ctx context.Context, a Assertion) (string, error) {
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.Timeout, fmt.Errorf("%w after %s", errNoResult, a.Timeout))
		defer cancel()
	}
	query := strings.TrimRight(a.SQL, "; \t\r\n")
	rows, err := s.strings(ctx, "SELECT coalesce(CAST(COLUMNS(*) AS VARCHAR), 'NULL') FROM (\n"+query+"\n) LIMIT 2")
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", err
	case len(rows) == 0:
		return "", errors.New("the query returned no row")
	case len(rows) > 1:
		return "", errors.New("the query returned more than one row")
	case len(rows[0]) != 1:
		return "", fmt.Errorf("the query returned %d columns", len(rows[0]))
	}
	return rows[0][0], nil
}
