package engine

import (
	"fmt"
	"strings"
)

// How a value becomes text. Given its type, a value's text says itself where
// it ends, so the texts of a row can be joined and no two rows collide:
//
//	plain    "<text>|", NULL "|"; no plain text is empty or holds a "|"
//	string   "<bytes>:<text>", NULL ":"; over longText bytes the text's MD5
//	blob     "<bytes>:<MD5>", NULL ":"
//	list     "<text>|" if of bare values, else "<count>[" and its elements; NULL "[" or "|"
//	struct   "{" and its members; NULL "~"
//	map      as a list of its entries, key then value
//	union    the tag as a string, then every member (NULL but the tagged one); NULL "~"
//
// Changing any of this changes every fingerprint ever stored: raise
// FingerprintVersion with it.

// longText is the length in bytes from which a string enters the row as its
// digest, so that a vector of megabyte values is not copied once more.
const longText = 1024

// plain are the types whose VARCHAR form is injective, never empty, free of
// "|" and the same on every machine.
var plain = map[string]bool{
	"BOOLEAN": true, "TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "HUGEINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "UHUGEINT": true, "BIGNUM": true,
	"DECIMAL": true, "FLOAT": true, "DOUBLE": true, "UUID": true, "BIT": true, "INTERVAL": true,
	"DATE": true, "TIME": true, "TIME_NS": true, "TIME WITH TIME ZONE": true,
	"TIMESTAMP": true, "TIMESTAMP_S": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true,
}

// bare are the plain types whose text is never quoted inside of the text of a
// list, which is the faster way to render one. What is quoted there, and how,
// differs between the engine's versions: [2026-01-02] up to 1.1,
// ['2026-01-02'] later.
var bare = map[string]bool{
	"BOOLEAN": true, "TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "HUGEINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "UHUGEINT": true,
	"DECIMAL": true, "FLOAT": true, "DOUBLE": true,
}

func isPlain(t columnType) bool {
	if t.kind == kindList {
		for t.kind == kindList {
			t = *t.elem
		}
		return t.kind == kindScalar && bare[t.name]
	}
	return t.kind == kindScalar && plain[t.name] && t.name != "TIMESTAMP_NS"
}

// encoder renders values for one version of the engine.
type encoder struct {
	arrow  bool // lambdas are written x -> y, which is all there is before DuckDB 1.3
	signed bool // md5_number is a HUGEINT, which it was in DuckDB 1.1
}

// args are the arguments of concat() that render the SQL expression x of
// type t. concat() takes a NULL for an empty string, which is what makes the
// NULL forms above. depth numbers the lambda parameters.
func (e encoder) args(t columnType, x string, depth int) []string {
	if isPlain(t) {
		return []string{text(x), "'|'"}
	}
	switch t.kind {
	case kindList:
		return e.list(*t.elem, x, depth)
	case kindMap:
		entry := columnType{kind: kindStruct, fields: []columnField{{"key", t.fields[0].typ}, {"value", t.fields[1].typ}}}
		return e.list(entry, "map_entries("+x+")", depth)
	case kindStruct, kindUnion:
		return e.members(t, x, depth)
	default:
		return encodeScalar(t.name, x)
	}
}

func encodeScalar(name, x string) []string {
	switch name {
	case "BLOB":
		return []string{text("octet_length(" + x + ")"), "':'", "md5(" + x + ")"}
	case "GEOMETRY":
		return encodeScalar("BLOB", "ST_AsWKB("+x+")")
	case "TIMESTAMP_NS":
		// DuckDB 1.1 writes NUL for the zeros that lead its fraction.
		return []string{"replace(" + text(x) + ", chr(0), '0')", "'|'"}
	case "TIMESTAMP WITH TIME ZONE":
		// Its text depends on the session's zone; epoch_us of an infinity is NULL.
		return []string{fmt.Sprintf("coalesce(%s, %s)", text("epoch_us("+x+")"), text(x)), "'|'"}
	case "VARIANT":
		// The text alone does not tell 1 from '1', the types alone are no value.
		kind := "variant_typeof(" + x + ")"
		return append(encodeString(text(kind)), append(encodeString(text(x)), encodeString(text("CAST("+x+" AS JSON)"))...)...)
	default:
		// VARCHAR, JSON, ENUM, and whatever this program does not know.
		return encodeString(text(x))
	}
}

func encodeString(s string) []string {
	return []string{
		text("strlen(" + s + ")"), "':'",
		fmt.Sprintf("CASE WHEN strlen(%s) > %d THEN md5(%s) ELSE %s END", s, longText, s, s),
	}
}

func (e encoder) list(elem columnType, x string, depth int) []string {
	param := fmt.Sprintf("e%d", depth)
	lambda := "lambda " + param + ":"
	if e.arrow {
		lambda = param + " ->"
	}
	return []string{
		text("len(" + x + ")"), "'['",
		fmt.Sprintf("array_to_string(list_transform(%s, %s %s), '')", x, lambda, concat(e.args(elem, param, depth+1))),
	}
}

func (e encoder) members(t columnType, x string, depth int) []string {
	extract, args := "struct_extract", []string{"'{'"}
	if t.kind == kindUnion {
		extract, args = "union_extract", encodeString(text("union_tag("+x+")"))
	}
	for _, f := range t.fields {
		args = append(args, e.args(f.typ, fmt.Sprintf("%s(%s, %s)", extract, x, quoteText(f.name)), depth)...)
	}
	return []string{fmt.Sprintf("CASE WHEN %s IS NULL THEN '~' ELSE %s END", x, concat(args))}
}

func concat(args []string) string { return "concat(" + strings.Join(args, ", ") + ")" }

func text(x string) string { return "CAST(" + x + " AS VARCHAR)" }

// quoteName quotes an identifier, quoteText a string.
func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }
