package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shown is a command line of a document.
type shown struct {
	document string
	line     int
	text     string // one command, of several lines where they belong together
	answer   []string
}

func (s shown) String() string { return fmt.Sprintf("%s:%d: %s", s.document, s.line, s.text) }

// other are the languages of blocks that hold no commands; "" are answers of
// programs.
var other = []string{"", "yaml", "json", "js", "go", "python", "mermaid", "sql", "ini", "toml"}

// ours begins a line that is a command wherever it stands.
var ours = regexp.MustCompile(`^ *(\$ |(bin/)?(starter [a-z]|worker --[a-z])|go (run|build|test) |docker |node \S+\.mjs|npm |curl |temporal server)`)

// documents lists the documents of the repository that show commands.
func documents(t *testing.T) []string {
	t.Helper()
	root := repositoryRoot(t)
	all := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			require.NoError(t, err)
			all = append(all, name)
		}
	}
	require.Greater(t, len(all), 8)
	return all
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	return root
}

func textOf(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repositoryRoot(t), document))
	require.NoError(t, err)
	return string(text)
}

// commandsOf finds the commands of a document: all lines of blocks that are
// indented or of language sh, and of language console those that begin with a
// dollar, which the answer follows.
func commandsOf(t *testing.T, document string) []shown {
	t.Helper()
	var found []shown
	language, fenced, code, blank := "", false, false, true
	var open *shown // a command that goes on in the next line
	until := ""     // where its here-document ends
	for i, line := range strings.Split(textOf(t, document), "\n") {
		trimmed := strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(trimmed, "```"); ok {
			language, fenced, blank, code = rest, !fenced, false, false
			require.Nil(t, open, "%s:%d: a command without an end", document, i+1)
			assert.True(t, !fenced || language == "sh" || language == "console" || slices.Contains(other, language),
				"%s:%d: blocks of %q are not known to the test of the documents", document, i+1, language)
			continue
		}
		if !fenced {
			code = strings.HasPrefix(line, "    ") && (blank || code) || code && trimmed == ""
			blank = trimmed == ""
			language = ""
		}
		command := trimmed
		switch {
		case open != nil:
			open.text += "\n" + line
			if until != "" && trimmed != until || until == "" && strings.HasSuffix(line, `\`) {
				continue
			}
			found, open, until = append(found, *open), nil, ""
			continue
		case !fenced && !code, trimmed == "":
			continue
		case language == "console":
			var ok bool
			if command, ok = strings.CutPrefix(line, "$ "); !ok {
				require.NotEmpty(t, found, "%s:%d: an answer before a command", document, i+1)
				found[len(found)-1].answer = append(found[len(found)-1].answer, line)
				continue
			}
		case fenced && language != "sh":
			assert.False(t, ours.MatchString(line), "%s:%d: a command in a block of which none is run: %s", document, i+1, line)
			continue
		case strings.HasPrefix(trimmed, "#"):
			continue
		}
		one := shown{document: document, line: i + 1, text: command}
		if m := regexp.MustCompile(`<<'?([A-Z]+)'?$`).FindStringSubmatch(command); m != nil {
			open, until = &one, m[1]
		} else if strings.HasSuffix(command, `\`) {
			open = &one
		} else {
			found = append(found, one)
		}
	}
	require.Nil(t, open, "%s: a command without an end", document)
	return found
}

// inlineOf finds the commands of the starter and the worker that a document
// names in its text.
func inlineOf(t *testing.T, document string) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("`((?:bin/)?(?:starter|worker) [^`\n]*)`").FindAllStringSubmatch(textOf(t, document), -1) {
		found = append(found, m[1])
	}
	return found
}

// matches tells whether a program said what a document shows: "..." stands for
// anything in a line, and alone in a line for any lines. The width of columns
// does not count.
func matches(answer []string, said string) bool {
	var want strings.Builder
	want.WriteString("^")
	for _, line := range answer {
		line = strings.Join(strings.Fields(line), " ")
		if line == "..." {
			want.WriteString(`(?:.*\n)*?`)
			continue
		}
		want.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, ".*") + `\n`)
	}
	var got strings.Builder
	for line := range strings.Lines(said) {
		got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return regexp.MustCompile(want.String() + "$").MatchString(got.String())
}

func TestMatches(t *testing.T) {
	assert.True(t, matches([]string{"...", "b  ...c"}, "x\ny\nb   1 c\n"))
	assert.True(t, matches([]string{"...", "b", "..."}, "b\n"))
	assert.False(t, matches([]string{"...", "b"}, "b\nc\n"))
	assert.False(t, matches([]string{"{a...}"}, "a\n"))
	assert.False(t, matches([]string{"a.c"}, "abc\n"))
}
