package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// FingerprintVersion goes into every fingerprint: it changes with the encoding.
// Fingerprints of two versions say nothing about each other.
const FingerprintVersion = 2

// A table's fingerprint is the first 128 bits of the SHA-256 of its columns
// (name, type, order), its number of rows, and the two sums of the upper and
// of the lower 64 bits of the MD5 of each row's text. Sums do not depend on
// the order of the rows and, unlike XOR, do not cancel equal rows. It finds
// accidents; it does not withstand someone who constructs rows to a sum.
//
// The same file gives the same fingerprints with DuckDB 1.1, 1.4 and 1.5, for
// every type that these versions have in common; a test compares them. VARIANT,
// GEOMETRY and TIME_NS exist in the newest only, and their text may change.
//
// Generated columns enter with name and type only: nothing of them is stored,
// and their expressions may fail or depend on the clock or the session.

// column is a column as DESCRIBE lists it; text is the engine's text of its
// type.
type column struct {
	name, text string
	typ        columnType
	generated  bool
}

func fingerprint(columns []column, rows int64, upper, lower string) string {
	h := sha256.New()
	fmt.Fprintf(h, "canvasback table fingerprint %d\n", FingerprintVersion)
	for _, c := range columns {
		fmt.Fprintf(h, "column %q %q generated %t\n", c.name, c.text, c.generated)
	}
	fmt.Fprintf(h, "rows %d\nsums %s %s\n", rows, upper, lower)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// describe lists the columns of the tables in their order. Only of a generated
// column does the catalog show a default, its expression, and DESCRIBE none:
// where either changes, the column is read.
func (r *reader) describe(ctx context.Context, tables []*table) error {
	return r.each(ctx, tables, func(t *table) (string, error) {
		return `SELECT column_name, column_type, CAST("default" IS NULL AS VARCHAR) FROM (DESCRIBE ` + t.ref() + ")", nil
	}, func(t *table, rows [][]string) error {
		for _, row := range rows {
			if len(row) != 3 {
				return fmt.Errorf("a column of %d parts", len(row))
			}
			c := column{name: row[0], text: currentText(row[1]), generated: row[2] == "true" && t.expressions[row[0]]}
			var err error
			if c.typ, err = parseType(row[1]); err != nil {
				// A rendering that this program does not know: a type that the
				// engine does not list, see checkTypes.
				c.typ = columnType{kind: kindScalar, name: row[1]}
			}
			t.columns = append(t.columns, c)
		}
		return nil
	})
}

// digestQuery reads every stored column of every row of t.
func (e encoder) digestQuery(t *table) (string, error) {
	var args []string
	for _, c := range t.columns {
		if !c.generated {
			args = append(args, e.args(c.typ, "t."+quoteName(c.name), 0)...)
		}
	}
	if len(args) == 0 {
		return "", fmt.Errorf("none of its %d columns is stored", len(t.columns))
	}
	upper, lower := "h >> 64", "h & 18446744073709551615::UHUGEINT"
	if e.signed {
		upper, lower = "(h >> 64) & 18446744073709551615::HUGEINT", "h & 18446744073709551615::HUGEINT"
	}
	return `SELECT CAST(count(*) AS VARCHAR),
		CAST(coalesce(sum(CAST(` + upper + ` AS UBIGINT)), 0) AS VARCHAR),
		CAST(coalesce(sum(CAST(` + lower + ` AS UBIGINT)), 0) AS VARCHAR)
		FROM (SELECT md5_number(` + concat(args) + `) AS h FROM ` + t.ref() + ` AS t)`, nil
}
