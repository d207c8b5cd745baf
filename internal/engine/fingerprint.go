package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// fingerprintVersion goes into every fingerprint: it changes with the encoding.
const fingerprintVersion = 1

// A table's fingerprint is the first 128 bits of the SHA-256 of its columns
// (name, type, order), its number of rows, and the two sums of the upper and
// of the lower 64 bits of the MD5 of each row's text. Sums do not depend on
// the order of the rows and, unlike XOR, do not cancel equal rows. It finds
// accidents; it does not withstand someone who constructs rows to a sum.

//
// Generated columns enter with name and type only: nothing of them is stored,
// and their expressions may fail or depend on the clock or the session.

// column is a column as DESCRIBE lists it; typ is the engine's text.
type column struct {
	name, typ string
	generated bool
}

// fingerprint reads every stored column of every row of t in one query.
func (s *session) fingerprint(ctx context.Context, t table) (int64, string, error) {
	columns, err := s.columns(ctx, t)
	if err != nil {
		return 0, "", err
	}
	query, err := digestQuery(t, columns)
	if err != nil {
		return 0, "", err
	}
	got, err := s.strings(ctx, query)
	if err != nil {
		return 0, "", err
	}
	if len(got) != 1 || len(got[0]) != 3 {
		return 0, "", errors.New("the engine did not answer the fingerprint query with one row")
	}
	rows, err := strconv.ParseInt(got[0][0], 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("number of rows: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "canvasback table fingerprint %d\n", fingerprintVersion)
	for _, c := range columns {
		fmt.Fprintf(h, "column %q %q generated %t\n", c.name, c.typ, c.generated)
	}
	fmt.Fprintf(h, "rows %d\nsums %s %s\n", rows, got[0][1], got[0][2])
	return rows, hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// columns lists the columns in their order. Only of a generated column does
// the catalog show a default, its expression, and DESCRIBE none: where either
// changes, the column is read.
func (s *session) columns(ctx context.Context, t table) ([]column, error) {
	rows, err := s.strings(ctx, `SELECT column_name, column_type, "default" IS NULL FROM (DESCRIBE `+t.ref()+")")
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(rows))
	for i, r := range rows {
		columns[i] = column{name: r[0], typ: r[1], generated: r[2] == "true" && t.expressions[r[0]]}
	}
	return columns, nil
}

func digestQuery(t table, columns []column) (string, error) {
	var args []string
	for _, c := range columns {
		if c.generated {
			continue
		}
		typ, err := parseType(c.typ)
		if err != nil {
			// A rendering that this program does not know: the value's text it is.
			typ = columnType{kind: kindScalar, name: c.typ}
		}
		args = append(args, encodeArgs(typ, "t."+quoteName(c.name), 0)...)
	}
	if len(args) == 0 {
		return "", fmt.Errorf("none of its %d columns is stored", len(columns))
	}
	return `SELECT CAST(count(*) AS VARCHAR),
		CAST(coalesce(sum(CAST(h >> 64 AS UBIGINT)), 0) AS VARCHAR),
		CAST(coalesce(sum(CAST(h & 18446744073709551615::UHUGEINT AS UBIGINT)), 0) AS VARCHAR)
		FROM (SELECT md5_number(` + concat(args) + `) AS h FROM ` + t.ref() + ` AS t)`, nil
}
