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
		rows, err := s.assertionRows(ctx, a)
		if err != nil {
			r.setError(err)
		} else {
			r.judge(rows, a.Expect)
		}
		results = append(results, r)
	}
	return results
}

func (s *session) assertionRows(ctx context.Context, a Assertion) ([][]string, error) {
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.Timeout, fmt.Errorf("%w after %s", errNoResult, a.Timeout))
		defer cancel()
	}
	rows, err := s.strings(ctx, assertionQuery(a))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return rows, err
}

// assertionQuery renders what the assertion's query returns, two rows at most.
// The engine parses the text by itself and refuses all but one SELECT: spliced
// into a statement it could end that, and go on with others which attach the
// stored file anew, to write to it.
func assertionQuery(a Assertion) string {
	sql := escaped(strings.TrimRight(a.SQL, "; \t\r\n"))
	return "SELECT coalesce(CAST(COLUMNS(*) AS VARCHAR), 'NULL') FROM system.main.query(" + sql + ") LIMIT 2"
}

// errNoResult is wrapped by the cause of a query that took too long.
var errNoResult = errors.New("no result")

func (r *AssertionResult) setError(err error) {
	r.Error = shorten(err.Error())
	class := asChildError(err).Class
	switch {
	case errors.Is(err, errNoResult):
		r.Undecided = UndecidedTime
	case class == classMemory:
		r.Undecided = UndecidedMemory
	case class == classMissing:
		r.Undecided = UndecidedQuery
	}
}

// judge compares what a query returned, which must be one row of one column.
func (r *AssertionResult) judge(rows [][]string, expect string) {
	switch {
	case len(rows) == 0:
		r.Error = "the query returned no row"
	case len(rows) > 1:
		r.Error = "the query returned more than one row"
	case len(rows[0]) != 1:
		r.Error = fmt.Sprintf("the query returned %d columns", len(rows[0]))
	default:
		r.Passed, r.Got = rows[0][0] == expect, shorten(rows[0][0])
	}
}
