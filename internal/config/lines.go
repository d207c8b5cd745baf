package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"canvasback/internal/failure"
)

// fault is one thing wrong with a configuration. At is the key's path
// ("databases[0].name"), empty where line tells the place.
type fault struct {
	at      string
	line    int
	text    string
	form    bool // found by the decoder
	syntax  bool // nothing after it could be read
	missing bool // a key that must be there has no value
	overlap bool // the repository and a database lie inside one another
}

// lines maps the paths of the keys that a file has to their places.
type lines map[string]place

type place struct {
	line  int
	empty bool // the key is there, a value is not
}

func (l lines) add(path string, node *yaml.Node) {
	switch node.Kind {
	case yaml.DocumentNode:
		for _, n := range node.Content {
			l.add(path, n)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := strings.TrimPrefix(path+"."+node.Content[i].Value, ".")
			value := node.Content[i+1]
			l[key] = place{line: node.Content[i].Line, empty: value.Kind == yaml.ScalarNode && value.Tag == "!!null"}
			l.add(key, value)
		}
	case yaml.SequenceNode:
		for i, n := range node.Content {
			key := fmt.Sprintf("%s[%d]", path, i)
			l[key] = place{line: n.Line}
			l.add(key, n)
		}
	}
}

// of is the line of a key, or of the nearest thing around it that the file
// has; 0 if it has none.
func (l lines) of(path string) int {
	for path != "" {
		if p, ok := l[path]; ok {
			return p.line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}

// report joins the faults of the file into one failure, in the order of their
// lines. A value that the decoder could not read was left at zero, so what
// else is said about its line is noise and left out.
func report(file string, faults []fault, at lines) error {
	unread := map[int]bool{}
	for i, f := range faults {
		if f.form {
			unread[f.line] = true
		} else if f.line == 0 {
			faults[i].line = at.of(f.at)
		}
	}
	faults = slices.DeleteFunc(faults, func(f fault) bool {
		if f.form || len(unread) == 0 {
			return false
		}
		p, there := at[f.at]
		return f.line > 0 && unread[f.line] || f.missing && there && !p.empty
	})
	slices.SortStableFunc(faults, func(a, b fault) int { return a.line - b.line })
	return join(failure.InvalidConfig, faults, func(f fault) string {
		if f.line > 0 {
			return fmt.Sprintf("%s:%d: ", file, f.line)
		}
		return file + ": "
	})
}

// join makes one failure of the given kind, one fault a line; nil without any.
// Where all that is wrong is that repository and database overlap, it is of
// that kind.
func join(kind *failure.Kind, faults []fault, prefix func(fault) string) error {
	if len(faults) == 0 {
		return nil
	}
	texts := make([]string, len(faults))
	onlyOverlap := true
	for i, f := range faults {
		text := strings.TrimPrefix(f.at+": "+f.text, ": ")
		texts[i] = prefix(f) + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(text)
		onlyOverlap = onlyOverlap && f.overlap
	}
	if onlyOverlap {
		kind = failure.RepoOverlap
	}
	return failure.Errorf(kind, "%s", strings.Join(texts, "\n"))
}
