package engine

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What a database may hold of an extension that the engine does not have. A
// column of a type that nobody here knows still reads as the type it is made
// of, and a table with an index of an unknown kind reads without it, so neither
// would show by itself.

// listed are scalar types that every engine has. Other names must be among the
// types that the engine lists.
var listed = map[string]bool{"VARCHAR": true, "BLOB": true, "ENUM": true, "TIMESTAMP WITH TIME ZONE": true}

// scalars adds the names of the scalar types that t is made of.
func (t columnType) scalars(into map[string]bool) {
	switch t.kind {
	case kindList:
		t.elem.scalars(into)
	case kindScalar:
		into[t.name] = true
	default:
		for _, f := range t.fields {
			f.typ.scalars(into)
		}
	}
}

// checkTypes notes columns of types that the engine does not know. Their tables
// are read, so that damage shows, and left out of the report: their text
// depends on whether the extension is there.
func (r *reader) checkTypes(ctx context.Context, tables []*table) error {
	rows, err := r.rows(ctx, "SELECT DISTINCT lower(type_name) FROM duckdb_types() WHERE database_name = 'system'")
	if err != nil {
		return fmt.Errorf("list the types: %w", err)
	}
	known := map[string]bool{}
	for _, row := range rows {
		known[row[0]] = true
	}
	for _, t := range tables {
		for _, c := range t.columns {
			names := map[string]bool{}
			c.typ.scalars(names)
			var unknown []string
			for name := range names {
				if !plain[name] && !listed[name] && !known[strings.ToLower(name)] {
					unknown = append(unknown, name)
				}
			}
			slices.Sort(unknown)
			for _, name := range unknown {
				t.unread = true
				r.lacks("table %s, column %q: no extension here has the type %s%s", t.Name, c.name, name, from(typeExtensions[strings.ToUpper(name)]))
			}
		}
	}
	return nil
}

// Extensions that are known to have a type or a kind of index.
var (
	typeExtensions = map[string]string{"INET": "inet", "GEOMETRY": "spatial", "POINT_2D": "spatial", "POINT_3D": "spatial", "BOX_2D": "spatial",
		"LINESTRING_2D": "spatial", "POLYGON_2D": "spatial", "WKB_BLOB": "spatial", "JSON": "json"}
	indexExtensions = map[string]string{"HNSW": "vss", "RTREE": "spatial"}
)

func from(extension string) string {
	if extension == "" {
		return ""
	}
	return ", which is the extension " + extension + "'s"
}

// checkIndexes notes indexes of a kind that the engine does not know.
func (r *reader) checkIndexes(ctx context.Context) error {
	rows, err := r.rows(ctx, `SELECT schema_name, table_name, index_name, sql FROM duckdb_indexes()
		WHERE database_name = `+quoteText(r.alias)+" ORDER BY schema_name, table_name, index_name")
	if err != nil {
		return fmt.Errorf("list the indexes: %w", err)
	}
	for _, row := range rows {
		kind := indexKind(row[3])
		extension := indexExtensions[kind]
		if kind == "ART" || extension != "" && r.extensions[extension] {
			continue
		}
		r.lacks("table %s, index %q: no extension here has indexes of type %s%s", tableName(row[0], row[1]), row[2], kind, from(extension))
	}
	return nil
}

var (
	quotedName = regexp.MustCompile(`"(?:[^"]|"")*"`)
	usingKind  = regexp.MustCompile(`(?i) USING ([A-Z0-9_]+) *$`)
)

// indexKind is the upper-case kind that a CREATE INDEX statement of the catalog
// names. The engine's own, ART, need not be named.
func indexKind(sql string) string {
	head, _, _ := strings.Cut(quotedName.ReplaceAllString(sql, "x"), "(")
	if m := usingKind.FindStringSubmatch(head); m != nil {
		return strings.ToUpper(m[1])
	}
	return "ART"
}

// missingTexts are the texts by which an engine says that it lacks an extension.
var missingTexts = []*regexp.Regexp{
	regexp.MustCompile(`^Missing Extension Error`),
	regexp.MustCompile(`unknown index type|Unknown index type`),
	regexp.MustCompile(`(Function|Type|Collation|Macro) with name \S+ (does not exist|is not in the catalog)`),
	// The queries that read a database are the same for every one: it is the
	// engine that does not understand one.
	regexp.MustCompile(`^Parser Error`),
	regexp.MustCompile(`No function matches the given name and argument types`),
	regexp.MustCompile(`it exists in the \S+ extension`),
}

func lacksExtension(text string) bool {
	return slices.ContainsFunc(missingTexts, func(re *regexp.Regexp) bool { return re.MatchString(text) })
}
