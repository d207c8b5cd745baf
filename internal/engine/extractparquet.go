package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// exact are the types that a Parquet file of this engine holds without loss:
// what is read back is equal, if not always of the same type. The others are
// written as text: HUGEINT would become DOUBLE, an INTERVAL lose its
// microseconds, a TIME WITH TIME ZONE its offset, a UNION is a struct of nulls,
// and an infinite TIMESTAMP_S is an error.
var exact = map[string]bool{
	"BOOLEAN": true, "TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true,
	"DECIMAL": true, "FLOAT": true, "DOUBLE": true, "UUID": true, "VARCHAR": true, "BLOB": true, "ENUM": true, "JSON": true,
	"DATE": true, "TIME": true, "TIMESTAMP": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true, "TIMESTAMP WITH TIME ZONE": true,
}

func isExact(t columnType) bool {
	switch t.kind {
	case kindScalar:
		return exact[t.name]
	case kindList:
		return isExact(*t.elem)
	case kindUnion:
		return false
	default:
		for _, f := range t.fields {
			if !isExact(f.typ) {
				return false
			}
		}
		return true
	}
}

// parquet writes a file for each table and counts its rows in the file.
func (x *extraction) parquet(ctx context.Context, chosen []*table, schema *schemaOf) error {
	for _, st := range schema.before {
		x.report.Schema = append(x.report.Schema, st.script())
	}
	for _, t := range schema.order(chosen) {
		x.report.Schema = append(x.report.Schema, schema.tables[t.Name].script())
		e := ExtractedTable{Name: t.Name, File: parquetName(t.schema, t.base)}
		var columns []string
		for _, c := range t.columns {
			switch {
			case c.generated:
				e.Left = append(e.Left, c.name)
			case isExact(c.typ):
				columns = append(columns, quoteName(c.name))
			default:
				e.AsText = append(e.AsText, c.name)
				columns = append(columns, text(quoteName(c.name))+" AS "+quoteName(c.name))
			}
		}
		if len(columns) == 0 {
			return &childError{Class: classTables, Text: fmt.Sprintf("table %s stores no column", t.Name)}
		}
		file := quoteText(strings.TrimRight(x.req.Dir, "/") + "/" + e.File)
		if err := x.exec(ctx, "COPY (SELECT "+strings.Join(columns, ", ")+" FROM "+t.ref()+") TO "+file+" (FORMAT parquet)"); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		rows, err := x.strings(ctx, "SELECT CAST(count(*) AS VARCHAR) FROM read_parquet("+file+")")
		if err == nil {
			err = t.take(rows)
		}
		if err != nil {
			return fmt.Errorf("count the rows in %s: %w", e.File, err)
		}
		e.Rows = t.Rows
		x.report.Tables = append(x.report.Tables, e)
		if err := x.step(len(x.report.Tables), len(chosen)); err != nil {
			return err
		}
	}
	for _, st := range schema.after {
		x.report.Schema = append(x.report.Schema, st.script())
	}
	return nil
}

// maxFileName leaves room in the 255 bytes of a name for what the engine puts
// before it while it writes.
const maxFileName = 200

// parquetName is <schema>.<table>.parquet with all but letters, digits, "_" and
// "-" as %XX: whatever a table is called, its file is in the directory and the
// name of no other table's, also where upper and lower case are one. A long
// name ends in a digest.
func parquetName(schema, base string) string {
	name := escapeName(schema) + "." + escapeName(base)
	if len(name) > maxFileName {
		sum := sha256.Sum256([]byte(name))
		name = name[:maxFileName-17] + "-" + hex.EncodeToString(sum[:8])
	}
	return name + ".parquet"
}

func escapeName(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
