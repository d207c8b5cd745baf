package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

// values are, for each type, expressions that are all different values of it.
// NULL is one more for every type.
var values = []struct {
	typ    string
	values []string
}{
	{"BOOLEAN", []string{"true", "false"}},
	{"TINYINT", []string{"-128", "0", "127"}},
	{"BIGINT", []string{"-9223372036854775808", "0", "-1", "1", "11"}},
	{"UBIGINT", []string{"18446744073709551615", "0"}},
	{"HUGEINT", []string{"-170141183460469231731687303715884105728", "170141183460469231731687303715884105727", "0"}},
	{"UHUGEINT", []string{"340282366920938463463374607431768211455", "0"}},
	{"DECIMAL(38,10)", []string{"1.0000000001", "1", "-1", "0"}},
	{"FLOAT", []string{"'nan'", "'inf'", "'-inf'", "'-0'", "0", "0.1", "0.10000001", "1e-45", "3.4028235e38"}},
	{"DOUBLE", []string{"'nan'", "'inf'", "'-inf'", "'-0'", "0", "0.1", "0.10000000000000002", "5e-324", "1.7976931348623157e308"}},
	{"VARCHAR", []string{"''", "'NULL'", "'null'", "' '", "chr(0)", "chr(0) || chr(0)", "'a' || chr(0) || 'b'", "'a'", "'ab'", "'~'", "':'", "'1:a'", "'é'", "'e' || chr(769)",
		"repeat('x', 1024)", "repeat('x', 1025)", "repeat('x', 1026)", "md5(repeat('x', 1025))", "repeat('é', 2000000)", "repeat('é', 1999999) || 'e'"}},
	{"BLOB", []string{"''", "'\\x00'", "'\\x00\\x00'", "'a'", "'\\xFF'", "'NULL'", "repeat('x', 2000000)::BLOB"}},
	{"BIT", []string{"'0'", "'00'", "'1'", "'01'", "'000000001'"}},
	{"UUID", []string{"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
	{"ENUM('a', 'b''c', 'NULL', ',)')", []string{"'a'", "'b''c'", "'NULL'", "',)'"}},
	{"INTERVAL", []string{"'1 month'", "'30 days'", "'29 days'", "'720 hours'", "'1 microsecond'", "'-1 month'", "'0 days'", "'1 year'", "'1 year 1 day'"}},
	{"DATE", []string{"'2026-01-01'", "'infinity'", "'-infinity'", "'0044-03-15 (BC)'", "'0044-03-15'"}},
	{"TIME", []string{"'00:00:00'", "'23:59:59.999999'", "'24:00:00'"}},
	{"TIMETZ", []string{"'12:00:00+00'", "'12:00:00+01'", "'13:00:00+01'"}},
	{"TIMESTAMP", []string{"'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.000001'", "'infinity'", "'-infinity'"}},
	{"TIMESTAMP_S", []string{"'2026-01-01 00:00:00'", "'2026-01-01 00:00:01'", "'infinity'", "'290000-01-01 00:00:00'"}},
	{"TIMESTAMP_MS", []string{"'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.001'", "'-infinity'"}},
	{"TIMESTAMP_NS", []string{"'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.000000001'", "'2026-01-01 00:00:00.1'", "'1677-12-01 00:00:00.00001'", "'infinity'", "'-infinity'"}},
	{"TIMESTAMPTZ", []string{"'2026-01-01 00:00:00+00'", "'2026-01-01 00:00:00+01'", "'infinity'", "'-infinity'"}},
	{"JSON", []string{`'{"a":1}'`, `'{"a":"1"}'`, `'{"a": 1}'`, "'null'", "'[]'"}},
	{"INTEGER[]", []string{"[]", "[NULL]", "[0]", "[NULL, NULL]", "[1, 2]", "[2, 1]", "[12]"}},
	{"BOOLEAN[]", []string{"[]", "[true, NULL]", "[false]"}},
	{"HUGEINT[][]", []string{"[[170141183460469231731687303715884105727], NULL]", "[[], [-1]]", "[[NULL]]"}},
	{"DECIMAL(38,10)[]", []string{"[1.0000000001]", "[-0.5, NULL]"}},
	{"FLOAT[]", []string{"['nan', 'inf', '-inf']", "['-0']", "[0]", "[1e-45, 3.4028235e38]", "[1e20, 1e-7, 123456790]", "[NULL]"}},
	{"DOUBLE[2]", []string{"['nan', 'inf']", "['-0', 0]", "[5e-324, 1.7976931348623157e308]", "[1e21, 1e-7]", "[NULL, 0.1]"}},
	{"DATE[]", []string{"['2026-01-01']", "['2026-01-01', NULL]", "['infinity']", "['0044-03-15 (BC)']"}},
	{"TIME[]", []string{"['12:00:00']", "['12:00:00', '13:00:00']"}},
	{"TIMETZ[]", []string{"['12:00:00+01']", "['12:00:00+00']"}},
	{"TIMESTAMP[][]", []string{"[['2026-01-01 00:00:00']]", "[['2026-01-01 00:00:00'], [NULL]]"}},
	{"TIMESTAMP_NS[]", []string{"['2026-01-01 00:00:00.000000001']", "['2026-01-01 00:00:00']"}},
	{"INTERVAL[]", []string{"['1 month']", "['1 month', '30 days']", "['1 year 1 day']"}},
	{"UUID[]", []string{"['00000000-0000-0000-0000-000000000000']", "[NULL]"}},
	{"BIT[]", []string{"['01']", "['1', '0']"}},
	{"INTEGER[2]", []string{"[1, 2]", "[NULL, 2]", "[NULL, NULL]", "[2, 1]"}},
	{"VARCHAR[]", []string{"[]", "[NULL]", "['']", "['NULL']", "['a', 'b']", "['a, b']", "['a', NULL]", "['a', '']", "['', 'a']", "['1:a']", "['[a]']"}},
	{"VARCHAR[][]", []string{"[]", "[[]]", "[NULL]", "[[NULL]]", "[[], []]", "[['a'], ['b']]", "[['a', 'b']]", "[['a', 'b'], []]", "[[], ['a', 'b']]"}},
	{"BLOB[2]", []string{"['a'::BLOB, 'b'::BLOB]", "['b'::BLOB, 'a'::BLOB]", "[NULL, 'b'::BLOB]"}},
	{`STRUCT(a INTEGER, "b ""c" VARCHAR)`, []string{"row(1, 'x')", "row(NULL, NULL)", "row(NULL, 'x')", "row(1, NULL)", "row(1, '')", "row(11, 'x')"}},
	{"STRUCT(a STRUCT(b VARCHAR), c VARCHAR[])", []string{"row(NULL, NULL)", "row(row(NULL), NULL)", "row(row(NULL), [])", "row(row('~'), NULL)", "row(row('{'), ['{'])"}},
	{"STRUCT(t TIMESTAMPTZ, u BLOB)[]", []string{"[]", "[NULL]", "[row(NULL, NULL)]", "[row('2026-01-01 00:00:00+00', NULL)]", "[row('2026-01-01 00:00:00+01', 'a')]"}},
	{"MAP(VARCHAR, INTEGER)", []string{"MAP {}", "MAP {'a': NULL}", "MAP {'a': 1}", "MAP {'a': 1, 'b': 2}", "MAP {'b': 2, 'a': 1}", "MAP {'a': 12}"}},
	{"MAP(INTEGER, VARCHAR[])", []string{"MAP {1: []}", "MAP {1: ['a']}", "MAP {1: NULL}", "MAP {}"}},
	{`UNION(i INTEGER, "s s" VARCHAR, l VARCHAR[])`, []string{"union_value(i := 1)", `union_value("s s" := '1')`, "union_value(i := NULL)", `union_value("s s" := NULL)`, `union_value("s s" := '')`, "union_value(l := ['1'])", "union_value(l := [])"}},
}

// newer are types that only newer storage versions hold, but for the first two,
// which DuckDB 1.1 has by another name.
var newer = []struct {
	typ    string
	values []string
}{
	{"BIGNUM", []string{"'123456789012345678901234567890123456789012'", "0", "-1"}},
	{"STRUCT(\"VARINT\" BIGNUM[])", []string{"row(['1', NULL])", "row(['11'])"}},
	{"VARIANT", []string{"1::VARIANT", "'1'::VARIANT", "{'a': 1}::VARIANT", "{'a': '1'}::VARIANT", "[1, 2]::VARIANT", "'[1, 2]'::VARIANT", "true::VARIANT", "1.5::DOUBLE::VARIANT"}},
	{"GEOMETRY", []string{"'POINT(1 2)'", "'POINT(2 1)'", "'POINT(1 2.0000000000000004)'", "'LINESTRING(1 2, 3 4)'"}},
	{"TIME_NS", []string{"'12:00:00.123456789'", "'12:00:00.123456788'"}},
}

// TestFingerprint_differs_between_all_values puts each value of a type into a
// table of its own: no two of those tables may have the same fingerprint.
func TestFingerprint_differs_between_all_values(t *testing.T) {
	var stmts, types []string
	add := func(typ string, list []string) {
		for i, v := range append([]string{"NULL"}, list...) {
			table := fmt.Sprintf("t%03d_%02d", len(types), i)
			stmts = append(stmts, fmt.Sprintf("CREATE TABLE %s(v %s)", table, typ), fmt.Sprintf("INSERT INTO %s SELECT CAST(%s AS %s)", table, v, typ))
		}
		types = append(types, typ)
	}
	for _, v := range values {
		add(v.typ, v.values)
	}
	for _, v := range newer {
		add(v.typ, v.values)
	}
	path := t.TempDir() + "/shop.duckdb"
	enginetest.CreateStorage(t, path, "v1.5.0", stmts...)
	tables := scan(t, path)
	require.Len(t, tables, len(stmts)/2)
	seen := map[string]string{}
	for i, typ := range types {
		prefix, n := fmt.Sprintf("main.t%03d_", i), 0
		for name, table := range tables {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			n++
			assert.Equal(t, int64(1), table.Rows)
			assert.Empty(t, seen[table.Fingerprint], "%s of %s has the fingerprint of another value", name, typ)
			seen[table.Fingerprint] = name
		}
		require.Greater(t, n, 1, typ)
	}
}

// TestFingerprint_of_tables compares tables of which each pair is equal or not.
func TestFingerprint_of_tables(t *testing.T) {
	tests := []struct {
		name, a, b string
		equal      bool
	}{
		{"rows in another order", "SELECT range AS i, md5(range::VARCHAR) AS s FROM range(300000)", "SELECT range AS i, md5(range::VARCHAR) AS s FROM range(300000) ORDER BY s", true},
		{"rows from another history", "SELECT range AS i FROM range(1000)", "SELECT DISTINCT i FROM (SELECT range % 1000 AS i FROM range(5000))", true},
		{"values swapped between columns", "SELECT 1 AS a, 2 AS b", "SELECT 2 AS a, 1 AS b", false},
		{"values swapped between rows", "SELECT * FROM (VALUES (1, 'x'), (2, 'y')) t(a, b)", "SELECT * FROM (VALUES (1, 'y'), (2, 'x')) t(a, b)", false},
		{"text moved across columns", "SELECT 'ab' AS a, 'c' AS b", "SELECT 'a' AS a, 'bc' AS b", false},
		{"delimiters in the text", "SELECT '1:a' AS a, 'b' AS b", "SELECT '1' AS a, 'a1:b' AS b", false},
		{"a pair of equal rows more", "SELECT 1 AS a", "SELECT unnest([1, 1, 1]) AS a", false},
		{"another pair of equal rows", "SELECT unnest([1, 1, 2, 2]) AS a", "SELECT unnest([1, 1, 3, 3]) AS a", false},
		{"NULL moved between columns", "SELECT NULL::INTEGER AS a, 1 AS b", "SELECT 1 AS a, NULL::INTEGER AS b", false},
		{"another column name", "SELECT 1 AS a", "SELECT 1 AS b", false},
		{"another type of the same text", "SELECT 1::INTEGER AS a", "SELECT 1::BIGINT AS a", false},
		{"another order of columns", "SELECT 1 AS a, 1 AS b", "SELECT 1 AS b, 1 AS a", false},
		{"no rows and the same columns", "SELECT 1 AS a WHERE false", "SELECT 2 AS a WHERE false", true},
		{"no rows and other columns", "SELECT 1 AS a WHERE false", "SELECT 'x' AS a WHERE false", false},
		{"one value of many changed", "SELECT range AS i, repeat('x', 50) || range AS s FROM range(200000)", "SELECT range AS i, repeat('x', 50) || CASE WHEN range = 123456 THEN 0 ELSE range END AS s FROM range(200000)", false},
	}
	var stmts []string
	for i, tt := range tests {
		stmts = append(stmts, fmt.Sprintf("CREATE TABLE a%d AS %s", i, tt.a), fmt.Sprintf("CREATE TABLE b%d AS %s", i, tt.b))
	}
	tables := scan(t, database(t, stmts...))
	for i, tt := range tests {
		a, b := tables[fmt.Sprintf("main.a%d", i)], tables[fmt.Sprintf("main.b%d", i)]
		require.NotEmpty(t, a.Fingerprint)
		require.NotEmpty(t, b.Fingerprint)
		if tt.equal {
			assert.Equal(t, a.Fingerprint, b.Fingerprint, tt.name)
		} else {
			assert.NotEqual(t, a.Fingerprint, b.Fingerprint, tt.name)
		}
	}
}

// One byte of a value of 100 MB, and where such a value lies.
func TestFingerprint_of_huge_values(t *testing.T) {
	const huge = "repeat('0123456789', 10000000)"
	table := func(name, a, b string) string {
		return fmt.Sprintf("CREATE TABLE %s AS SELECT %s AS a, %s AS b", name, a, b)
	}
	path := database(t,
		table("text", huge, "'x'"), table("same", huge, "'x'"), table("other", "repeat('0123456789', 9999999) || '012345678a'", "'x'"), table("swapped", "'x'", huge),
		"CREATE TABLE blob AS SELECT a::BLOB AS a, b FROM text", "CREATE TABLE blob2 AS SELECT a::BLOB AS a, b FROM other")
	req := request(t, path)
	req.MemoryLimit = "1500MB"
	report, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	prints := map[string]string{}
	for _, table := range report.Tables {
		prints[table.Name] = table.Fingerprint
	}
	require.Len(t, prints, 6)
	assert.Equal(t, prints["main.text"], prints["main.same"])
	for _, pair := range [][2]string{{"text", "other"}, {"text", "swapped"}, {"blob", "blob2"}, {"text", "blob"}} {
		assert.NotEqual(t, prints["main."+pair[0]], prints["main."+pair[1]], pair)
	}
}

// Stored fingerprints are compared with those of later releases.
func TestFingerprint_stays_the_same(t *testing.T) {
	path := database(t,
		"CREATE TABLE a(i INTEGER, s VARCHAR, d DOUBLE, t TIMESTAMPTZ, b BLOB, l VARCHAR[], p STRUCT(x DECIMAL(9,2), y DATE))",
		"INSERT INTO a VALUES (1, 'x', 0.1, '2026-01-02 03:04:05+01', 'b', ['c', NULL], row(1.5, '2026-01-02')), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)")
	assert.Equal(t, "65baecede2f520dc77078ec76e4b68a9", scan(t, path)["main.a"].Fingerprint)
}

func TestFingerprint_does_not_depend_on_machine_or_limits(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i, TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (range) HOUR AS t, [t, NULL] AS l FROM range(300000)")
	want := scan(t, path)
	t.Setenv("TZ", "Asia/Kathmandu")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	for _, threads := range []int{1, 2} {
		req := request(t, path)
		req.Threads, req.MemoryLimit = threads, "100MB"
		report, err := engine.Scan(context.Background(), req)
		require.NoError(t, err)
		assert.Equal(t, want["main.a"], report.Tables[0])
	}
}

func TestFingerprint_generated_columns(t *testing.T) {
	const broken = `CREATE TABLE %s("a ,(" VARCHAR DEFAULT 'GENERATED ALWAYS AS(', g INTEGER GENERATED ALWAYS AS (CAST("a ,(" AS INTEGER)))`
	path := database(t,
		fmt.Sprintf(broken, "broken"), "INSERT INTO broken VALUES ('7')", "UPDATE broken SET \"a ,(\" = 'no number'",
		fmt.Sprintf(broken, "same"), "INSERT INTO same VALUES ('8')", "UPDATE same SET \"a ,(\" = 'no number'",
		fmt.Sprintf(broken, "other"), "INSERT INTO other VALUES ('7')",
		"CREATE TABLE clock(i INTEGER, g TIMESTAMPTZ GENERATED ALWAYS AS (get_current_timestamp()))", "INSERT INTO clock(i) VALUES (1)",
	)
	tables := scan(t, path)
	assert.Equal(t, tables["main.broken"].Fingerprint, tables["main.same"].Fingerprint, "an expression that fails is no fault of the file")
	assert.NotEqual(t, tables["main.broken"].Fingerprint, tables["main.other"].Fingerprint, "the stored column counts")
	assert.Equal(t, tables["main.clock"], scan(t, path)["main.clock"], "an expression that moves is no change of the file")
}

func TestEncodeType(t *testing.T) {
	for typ, want := range map[string]string{
		"INTEGER":                  `concat(CAST(x AS VARCHAR), '|')`,
		"DECIMAL(18,3)[][2]":       `concat(CAST(x AS VARCHAR), '|')`,
		"DATE[]":                   `concat(CAST(len(x) AS VARCHAR), '[', array_to_string(list_transform(x, lambda e0: concat(CAST(e0 AS VARCHAR), '|')), ''))`,
		"TIMESTAMP WITH TIME ZONE": `concat(coalesce(CAST(epoch_us(x) AS VARCHAR), CAST(x AS VARCHAR)), '|')`,
		"BLOB":                     `concat(CAST(octet_length(x) AS VARCHAR), ':', md5(x))`,
		"STRUCT(a INTEGER)":        `concat(CASE WHEN x IS NULL THEN '~' ELSE concat('{', CAST(struct_extract(x, 'a') AS VARCHAR), '|') END)`,
		"BLOB[]":                   `concat(CAST(len(x) AS VARCHAR), '[', array_to_string(list_transform(x, lambda e0: concat(CAST(octet_length(e0) AS VARCHAR), ':', md5(e0))), ''))`,
	} {
		got, err := engine.EncodeType(typ, "x")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, typ := range []string{"", "STRUCT(", "STRUCT()", "STRUCT(a)", "STRUCT(a INTEGER", "MAP(INTEGER)", "INTEGER[", "INTEGER[x]", "INTEGER]", "ENUM('a", "DECIMAL(18", `"a`, "UNION(a INTEGER,)", "A, B",
		strings.Repeat("STRUCT(a ", 1000) + "INTEGER" + strings.Repeat(")", 1000)} {
		_, err := engine.EncodeType(typ, "x")
		assert.Error(t, err, typ)
	}
}

func FuzzEncodeType(f *testing.F) {
	for _, v := range values {
		f.Add(v.typ)
	}
	f.Fuzz(func(t *testing.T, typ string) {
		got, err := engine.EncodeType(typ, "x")
		if err == nil && !strings.HasPrefix(got, "concat(") {
			t.Fatalf("%q: %q", typ, got)
		}
	})
}
