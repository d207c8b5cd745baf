package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// fingerprintVersion goes into every fingerprint: it changes with the encoding.
const fingerprintVersion = 1

// A table's fingerprint is the first 128 bits of the SHA-256 of its columns
// (name, type, order), its number of rows, and the two sums of the upper and
// of the lower 64 bits of the MD5 of each row's text. Sums do not depend on
// the order of the rows and, unlike XOR, do not cancel equal rows. It finds
// accidents; it does not withstand someone who constructs rows to a sum.

// column is a column as DESCRIBE lists it; typ is the engine's text.
type column struct{ name, typ string }

// fingerprint reads every column of every row of t. Generated columns whose
// expression fails are named in the digest instead of being read.
func (s *session) fingerprint(ctx context.Context, t table) (int64, string, error) {
	columns, err := s.columns(ctx, t)
	if err != nil {
		return 0, "", err
	}
	rows, digest, err := s.digest(ctx, t, columns, nil)
	if err == nil || asChildError(err).Class != classRejected {
		return rows, digest, err
	}
	unreadable := s.unreadable(ctx, t, columns)
	if len(unreadable) == 0 {
		return 0, "", err
	}
	return s.digest(ctx, t, columns, unreadable)
}

func (s *session) columns(ctx context.Context, t table) ([]column, error) {
	rows, err := s.strings(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+t.ref()+")")
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(rows))
	for i, r := range rows {
		columns[i] = column{name: r[0], typ: r[1]}
	}
	return columns, nil
}

// digest runs the one query that reads the table.
func (s *session) digest(ctx context.Context, t table, columns []column, skip map[string]bool) (int64, string, error) {
	query, err := digestQuery(t, columns, skip)
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
		fmt.Fprintf(h, "column %q %q %t\n", c.name, c.typ, !skip[c.name])
	}
	fmt.Fprintf(h, "rows %d\nsums %s %s\n", rows, got[0][1], got[0][2])
	return rows, hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func digestQuery(t table, columns []column, skip map[string]bool) (string, error) {
	var args []string
	for _, c := range columns {
		if skip[c.name] {
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
		return "", fmt.Errorf("none of its %d columns is readable", len(columns))
	}
	return `SELECT CAST(count(*) AS VARCHAR),
		CAST(coalesce(sum(CAST(h >> 64 AS UBIGINT)), 0) AS VARCHAR),
		CAST(coalesce(sum(CAST(h & 18446744073709551615::UHUGEINT AS UBIGINT)), 0) AS VARCHAR)
		FROM (SELECT md5_number(` + concat(args) + `) AS h FROM ` + t.ref() + ` AS t)`, nil
}

// unreadable returns the generated columns that cannot be read, which is a
// fault of their expression, not of the file. It returns none if a stored
// column cannot be read either.
func (s *session) unreadable(ctx context.Context, t table, columns []column) map[string]bool {
	generated := generatedColumns(t.sql)
	bad := map[string]bool{}
	for _, c := range columns {
		if _, _, err := s.digest(ctx, t, []column{c}, nil); err == nil {
			continue
		}
		if !generated[c.name] {
			return nil
		}
		bad[c.name] = true
	}
	return bad
}

// generatedColumns finds the columns of a CREATE TABLE statement that have an
// expression instead of stored values: definitions of the form
// "name type GENERATED ALWAYS AS(...)".
func generatedColumns(create string) map[string]bool {
	generated := map[string]bool{}
	p := &typeParser{in: create}
	// The table's own name may hold a parenthesis in quotes.
	for p.pos < len(create) && p.peek() != '(' {
		if p.peek() == '"' {
			if _, err := p.quoted('"'); err != nil {
				return generated
			}
			continue
		}
		p.pos++
	}
	for p.pos++; p.pos < len(create); {
		p.space()
		name, err := p.fieldName()
		if err != nil {
			return generated
		}
		words, more := p.definition()
		if strings.Contains(words, " GENERATED ALWAYS AS(") {
			generated[name] = true
		}
		if !more {
			break
		}
	}
	return generated
}

// definition skips to behind the comma that ends a column's definition and
// returns its text without what stands in quotes or nested parentheses.
func (p *typeParser) definition() (words string, more bool) {
	var b strings.Builder
	depth := 0
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		if c == '"' || c == '\'' {
			if _, err := p.quoted(c); err != nil {
				return b.String(), false
			}
			continue
		}
		p.pos++
		if c == ')' {
			depth--
		}
		if depth < 0 {
			return b.String(), false
		}
		if depth == 0 {
			if c == ',' {
				return b.String(), true
			}
			b.WriteByte(c)
		}
		if c == '(' {
			depth++
		}
	}
	return b.String(), false
}
