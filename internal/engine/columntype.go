package engine

import (
	"fmt"
	"regexp"
	"strings"
)

// columnType is a column's type as DESCRIBE renders it, taken apart as far as
// the encoding of values needs it.
type columnType struct {
	kind   typeKind
	name   string        // scalar: the text up to any modifier, such as DECIMAL
	elem   *columnType   // list: the elements
	fields []columnField // struct, union: the members; map: key and value
}

type columnField struct {
	name string
	typ  columnType
}

type typeKind int

const (
	kindScalar typeKind = iota
	kindList            // LIST and ARRAY
	kindStruct
	kindUnion
	kindMap
)

// maxTypeDepth bounds the nesting that is taken apart.
const maxTypeDepth = 200

// parseType reads a type such as
//
//	STRUCT(a DECIMAL(18,3), "b c" ENUM('x', 'y')[])[3]
//
// Names it does not know are scalars.
func parseType(text string) (columnType, error) {
	p := &typeParser{in: text}
	t, err := p.typ(0)
	if err != nil {
		return columnType{}, fmt.Errorf("column type %q: %w", text, err)
	}
	if p.pos != len(p.in) {
		return columnType{}, fmt.Errorf("column type %q: text behind byte %d", text, p.pos)
	}
	return t, nil
}

// currentName is the name by which DuckDB 1.4 and later know a type.
func currentName(name string) string {
	if name == "VARINT" {
		return "BIGNUM"
	}
	return name
}

var quotedOrName = regexp.MustCompile(`"(?:[^"]|"")*"|'(?:[^']|'')*'|\b[A-Z]+\b`)

// currentText is the text of a type with the names that its parts have now, so
// that it is the same whichever version renders it.
func currentText(text string) string {
	return quotedOrName.ReplaceAllStringFunc(text, currentName)
}

type typeParser struct {
	in  string
	pos int
}

func (p *typeParser) typ(depth int) (columnType, error) {
	if depth > maxTypeDepth {
		return columnType{}, fmt.Errorf("nested deeper than %d", maxTypeDepth)
	}
	t, err := p.base(depth)
	if err != nil {
		return columnType{}, err
	}
	for p.peek() == '[' {
		end := strings.IndexByte(p.in[p.pos:], ']')
		if end < 0 || strings.Trim(p.in[p.pos+1:p.pos+end], "0123456789") != "" {
			return columnType{}, fmt.Errorf("no array bound at byte %d", p.pos)
		}
		p.pos += end + 1
		elem := t
		t = columnType{kind: kindList, elem: &elem}
	}
	return t, nil
}

func (p *typeParser) base(depth int) (columnType, error) {
	p.space()
	if p.peek() == '"' {
		name, err := p.quoted('"')
		return columnType{kind: kindScalar, name: name}, err
	}
	start := p.pos
	for p.pos < len(p.in) && !strings.ContainsRune("()[],", rune(p.in[p.pos])) {
		p.pos++
	}
	name := strings.TrimSpace(p.in[start:p.pos])
	if name == "" {
		return columnType{}, fmt.Errorf("no name at byte %d", start)
	}
	if p.peek() != '(' {
		return columnType{kind: kindScalar, name: currentName(name)}, nil
	}
	switch name {
	case "STRUCT", "UNION":
		fields, err := p.fields(depth, true)
		kind := kindStruct
		if name == "UNION" {
			kind = kindUnion
		}
		return columnType{kind: kind, name: name, fields: fields}, err
	case "MAP":
		fields, err := p.fields(depth, false)
		if err == nil && len(fields) != 2 {
			err = fmt.Errorf("a map of %d types", len(fields))
		}
		return columnType{kind: kindMap, name: name, fields: fields}, err
	default:
		return columnType{kind: kindScalar, name: name}, p.modifier()
	}
}

// fields reads "(name type, ...)", or "(type, ...)" where unnamed.
func (p *typeParser) fields(depth int, named bool) ([]columnField, error) {
	p.pos++ // the parenthesis
	var fields []columnField
	for {
		var f columnField
		var err error
		p.space()
		if named {
			if f.name, err = p.fieldName(); err != nil {
				return nil, err
			}
		}
		if f.typ, err = p.typ(depth + 1); err != nil {
			return nil, err
		}
		fields = append(fields, f)
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
		case ')':
			p.pos++
			return fields, nil
		default:
			return nil, fmt.Errorf("no end of the members at byte %d", p.pos)
		}
	}
}

func (p *typeParser) fieldName() (string, error) {
	if p.peek() == '"' {
		return p.quoted('"')
	}
	start := p.pos
	for p.pos < len(p.in) && !strings.ContainsRune(" ()[],", rune(p.in[p.pos])) {
		p.pos++
	}
	if start == p.pos || p.peek() != ' ' {
		return "", fmt.Errorf("no member name at byte %d", start)
	}
	return p.in[start:p.pos], nil
}

// modifier skips "(18,3)" or "('a', 'b)')".
func (p *typeParser) modifier() error {
	open := 0
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				p.pos++
				return nil
			}
		case '\'', '"':
			if _, err := p.quoted(p.in[p.pos]); err != nil {
				return err
			}
			continue
		}
		p.pos++
	}
	return fmt.Errorf("no closing parenthesis")
}

// quoted reads a string between quote characters, doubled inside.
func (p *typeParser) quoted(quote byte) (string, error) {
	start := p.pos
	p.pos++
	var b strings.Builder
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		p.pos++
		if c == quote {
			if p.peek() != quote {
				return b.String(), nil
			}
			p.pos++
		}
		b.WriteByte(c)
	}
	return "", fmt.Errorf("no closing quote for the one at byte %d", start)
}

func (p *typeParser) space() {
	for p.peek() == ' ' {
		p.pos++
	}
}

func (p *typeParser) peek() byte {
	if p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}
