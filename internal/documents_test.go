package internal_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	notInAnchor    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinksOfTheDocuments follows every relative link of every document: its
// file is in the repository, and its anchor a heading there.
func TestLinksOfTheDocuments(t *testing.T) {
	files := tracked(t)
	anchors, followed := map[string]map[string]bool{}, 0
	for name := range files {
		if strings.HasSuffix(name, ".md") {
			anchors[name] = anchorsOf(readDocument(t, name))
		}
	}
	for name := range anchors {
		for _, link := range linkPattern.FindAllStringSubmatch(prose(readDocument(t, name)), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			followed++
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
			}
			if !assert.True(t, files[to] || isDirectory(files, to), "%s links to %s, which is not there", name, link[1]) || anchor == "" {
				continue
			}
			assert.True(t, anchors[to][anchor], "%s links to %s, which has no such heading", name, link[1])
		}
	}
	assert.NotZero(t, followed)
}

// TestRunbooksOfTheAlerts follows the link of every alert rule.
func TestRunbooksOfTheAlerts(t *testing.T) {
	rules := readDocument(t, "docs/monitoring/alerts.yml")
	links := regexp.MustCompile(`(?m)^ *runbook: (.*)$`).FindAllStringSubmatch(rules, -1)
	require.NotEmpty(t, links)
	assert.Len(t, links, strings.Count(rules, "- alert: "), "every alert has a runbook")
	for _, link := range links {
		file, anchor, found := strings.Cut(strings.Trim(link[1], `"'`), "#")
		assert.True(t, found && anchorsOf(readDocument(t, file))[anchor], "%s is not there", link[1])
	}
}

// tracked are the files of the repository, those that are not added yet too.
func tracked(t *testing.T) map[string]bool {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = ".."
	out, err := cmd.Output()
	require.NoError(t, err)
	files := map[string]bool{}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSuffix(name, "\n")
		if _, err := os.Stat(filepath.Join("..", name)); err == nil {
			files[name] = true
		}
	}
	require.Contains(t, files, "README.md")
	return files
}

func isDirectory(files map[string]bool, name string) bool {
	for file := range files {
		if strings.HasPrefix(file, strings.TrimSuffix(name, "/")+"/") {
			return true
		}
	}
	return false
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	require.NoError(t, err)
	return string(text)
}

// prose is a document without its code, where brackets are no links.
func prose(text string) string {
	var out strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			out.WriteString(regexp.MustCompile("`[^`]*`").ReplaceAllStringFunc(line, func(code string) string {
				return strings.NewReplacer("](", "", "[", "").Replace(code)
			}))
		}
	}
	return out.String()
}

// anchorsOf are the anchors of a document's headings, as they are shown in the
// web interfaces of Git hosts.
func anchorsOf(text string) map[string]bool {
	anchors, fenced := map[string]bool{}, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if m := headingPattern.FindStringSubmatch(line); m != nil && !fenced {
			anchor := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
			anchors[anchor] = true
		}
	}
	return anchors
}

// TestTestsOfTheDocuments looks for every test that a document names as proof.
func TestTestsOfTheDocuments(t *testing.T) {
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)`")
	there, found := map[string]bool{}, 0
	defined := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)\(`)
	for name := range tracked(t) {
		if strings.HasSuffix(name, "_test.go") {
			for _, m := range defined.FindAllStringSubmatch(readDocument(t, name), -1) {
				there[m[1]] = true
			}
		}
	}
	for name := range tracked(t) {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(readDocument(t, name), -1) {
			found++
			assert.True(t, there[m[1]], "%s names the test %s, which is not there", name, m[1])
		}
	}
	assert.NotZero(t, found)
}
