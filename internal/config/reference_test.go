package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/configuration.md")

const (
	referencePage  = "../../docs/configuration.md"
	referenceBegin = "<!-- The tables down to the end mark are made by: go test ./internal/config -run Reference -update -->\n"
	referenceEnd   = "<!-- end of the tables -->\n"
)

// TestReference holds the tables of docs/configuration.md to the code: the keys
// and types are those of the structs, the texts the comments of their fields,
// the defaults what fillIn sets.
func TestReference(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	require.NoError(t, err)
	head, rest, found := strings.Cut(string(page), referenceBegin)
	require.True(t, found, "the page has no begin mark")
	shown, foot, found := strings.Cut(rest, referenceEnd)
	require.True(t, found, "the page has no end mark")
	made := tables(t)
	if *update {
		require.NoError(t, os.WriteFile(referencePage, []byte(head+referenceBegin+made+referenceEnd+foot), 0o600))
		return
	}
	assert.Equal(t, made, shown, "the page is old: go test ./internal/config -run Reference -update")
}

// key is one key of the configuration, or a section of keys.
type key struct {
	path    string // "databases[].copy.settle"
	name    string
	kind    string // what it takes; empty: a section
	text    string
	typ     reflect.Type
	index   []int // of the fields from Config, -1 for the first of a list
	section string
}

// kinds are the types that a single value is written in.
var kinds = map[reflect.Type]string{
	reflect.TypeFor[string]():            "text",
	reflect.TypeFor[int]():               "number",
	reflect.TypeFor[bool]():              "true or false",
	reflect.TypeFor[Duration]():          "time",
	reflect.TypeFor[*Duration]():         "time",
	reflect.TypeFor[Bytes]():             "size",
	reflect.TypeFor[Period]():            "period",
	reflect.TypeFor[SecretURL]():         "URL",
	reflect.TypeFor[[]string]():          "list",
	reflect.TypeFor[map[string]string](): "NAME: FILE",
}

// keysOf lists the keys below a struct, in the order of its fields.
func keysOf(t *testing.T, comments map[string]string, typ reflect.Type, path string, index []int) []key {
	t.Helper()
	var keys []key
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		name := f.Tag.Get("yaml")
		require.Regexp(t, "^[a-z][a-z0-9_]*$", name, "%s.%s has no key", typ.Name(), f.Name)
		k := key{
			path: strings.TrimPrefix(path+"."+name, "."), name: name, section: path, kind: kinds[f.Type], typ: f.Type,
			text: comments[typ.Name()+"."+f.Name], index: append(append([]int{}, index...), i),
		}
		require.NotEmpty(t, k.text, "%s.%s: a comment above the field is its text on the page", typ.Name(), f.Name)
		if k.kind != "" {
			keys = append(keys, k)
			continue
		}
		below, at := f.Type, k.index
		if below.Kind() == reflect.Slice {
			k.path, k.name, at = k.path+"[]", k.name+"[]", append(at, -1)
		}
		if below.Kind() != reflect.Struct {
			below = below.Elem()
		}
		require.Equal(t, reflect.Struct, below.Kind(), "%s: nothing is known of its type %s", k.path, f.Type)
		keys = append(keys, k)
		keys = append(keys, keysOf(t, comments, below, k.path, at)...)
	}
	return keys
}

// allKeys are the keys of a configuration file.
func allKeys(t *testing.T) []key {
	t.Helper()
	return keysOf(t, fieldComments(t), reflect.TypeFor[Config](), "", nil)
}

// fieldComments are the comments above the fields of this package's structs by
// "Struct.Field", in one line each.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	comments := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, f := range st.Fields.List {
				text := f.Doc.Text()
				if text == "" {
					text = f.Comment.Text()
				}
				for _, field := range f.Names {
					comments[spec.Name.Name+"."+field.Name] = sentence(strings.Join(strings.Fields(text), " "))
				}
			}
			return true
		})
	}
	require.NotEmpty(t, comments)
	return comments
}

// sentence begins and ends a comment as a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, ")") {
		return text
	}
	return text + "."
}

// filled is a configuration with all defaults, of one database.
func filled(d Database) *Config {
	c := &Config{Databases: []Database{d}}
	c.fillIn()
	c.Notify = c.NotifyOf("")
	c.Databases[0].Notify = c.NotifyOf(d.Name)
	return c
}

// value is that of the key, invalid where something on the way is not set.
func (k key) value(c *Config) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for _, i := range k.index {
		if v.Kind() == reflect.Pointer {
			if v = v.Elem(); !v.IsValid() {
				return v
			}
		}
		if i < 0 {
			if v.Len() == 0 {
				return reflect.Value{}
			}
			i = 0
			v = v.Index(i)
			continue
		}
		v = v.Field(i)
	}
	return v
}

// written is a value as a file would have it; empty where it is zero.
func written(v reflect.Value) string {
	if v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() || v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 {
		return ""
	}
	text := fmt.Sprint(v.Interface())
	if _, ok := v.Interface().(Duration); ok {
		text = regexp.MustCompile(`([hm])0[ms](0s)?$`).ReplaceAllString(text, "$1")
	}
	return text
}

// missing are the keys that a file must set, by what is said where it does not.
func missing() map[string]bool {
	must := map[string]bool{}
	c := Config{Databases: []Database{{Assertions: []Assertion{{}}}}}
	c.fillIn()
	for _, f := range append((&Config{}).check(), c.check()...) {
		if f.missing {
			must[strings.ReplaceAll(f.at, "[0]", "[]")] = true
		}
	}
	return must
}

// standard says what holds where the file does not set the key.
func (k key) standard(must map[string]bool) string {
	if must[k.path] {
		return "required"
	}
	host, err := os.Hostname()
	plain := written(k.value(filled(Database{})))
	asserting := written(k.value(filled(Database{Assertions: []Assertion{{}}})))
	switch {
	case err == nil && k.path == "host" && plain == host:
		return "this machine's"
	case plain != "" && plain != asserting:
		return fmt.Sprintf("`%s`; with assertions `%s`", plain, asserting)
	case asserting != "":
		return "`" + asserting + "`"
	case k.kind == "number":
		return "`0`"
	case k.kind == "true or false":
		return "`false`"
	}
	return "none"
}

// tables is the generated part of the page.
func tables(t *testing.T) string {
	t.Helper()
	keys, must := allKeys(t), missing()
	require.NotEmpty(t, must)
	var b strings.Builder
	section := func(path, text string) {
		heading := strings.TrimPrefix(path, "databases[].")
		if path == "" {
			heading = "The file"
		}
		fmt.Fprintf(&b, "### %s\n\n", strings.ReplaceAll(heading, "[]", ""))
		if text != "" {
			fmt.Fprintf(&b, "%s\n\n", text)
		}
		b.WriteString("| key | takes | default | |\n|---|---|---|---|\n")
		for _, k := range keys {
			if k.section != path {
				continue
			}
			takes, standard := k.kind, k.standard(must)
			if takes == "" {
				takes, standard = fmt.Sprintf("[keys](#%s)", anchorOf(k.path)), ""
				if must[strings.TrimSuffix(k.path, "[]")] {
					standard = "required"
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.TrimSuffix(k.name, "[]"), takes, standard, strings.ReplaceAll(k.text, "|", `\|`))
		}
		b.WriteString("\n")
	}
	section("", "")
	for _, k := range keys {
		if k.kind == "" && !strings.HasPrefix(k.path, "databases[].notify") {
			section(k.path, k.text)
		}
	}
	return b.String()
}

// anchorOf is the anchor of a section's heading. A database's notify is
// described with that of the file.
func anchorOf(path string) string {
	path = strings.TrimPrefix(path, "databases[].")
	return strings.NewReplacer(".", "", "[]", "").Replace(path)
}
