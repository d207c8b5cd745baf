package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/app"
)

// class says what the test of the documents does with a kind of command.
type class struct {
	pattern *regexp.Regexp // of the whole command
	stays   bool           // it runs until the document's last command
	not     string         // why it is not run
	check   func(t *testing.T, s shown)
	status  []int // what it may exit with; none: 0
}

func like(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }

// classes are all kinds of commands that the documents may show; the first that
// fits counts. A command that fits none fails the test.
var classes = []class{
	// What stays.
	{pattern: like(`(bin/)?worker --config \S+`), stays: true},
	{pattern: like(`node (\S+/)?service\.mjs .*`), stays: true},

	// What is not run.
	{pattern: like(`go run \./standalone( .*)?`), not: "the tests of package standalone run it, from the first start on", check: standaloneFlags},
	{pattern: like(`\.ci/run`), not: "it runs this test", check: executable(".ci/run")},
	{pattern: like(`go test \./(internal|standalone)/\w+ -run \w+ .*`), not: "it takes an hour", check: testIsThere},
	{pattern: like(`go test \./internal/[\w/]+ -run '\^\$' -bench \w+ -benchtime \d+x`), not: "it takes minutes", check: benchmarkIsThere},
	{pattern: like(`docker (build|run) (?s:.*)`), not: "it needs a container engine", check: dockerFlags},
	{pattern: like(`kubectl .*`), not: "it needs a cluster", check: kubernetesIsThere},
	{pattern: like(`temporal server start-dev .*`), not: "a program of Temporal's; the test has a server of its own", check: nothingToCheck},
	{pattern: like(`temporal operator (namespace|search-attribute) create .*`), not: "a program of Temporal's; the tests of attributes do the same", check: attributesAreOurs},

	// What is run.
	{pattern: like(`(bin/)?starter [^|;&]*`)},
	{pattern: like(`(bin/)?starter restore .* --dry-run \|\| echo .*`)},
	{pattern: like(`go run \./starter .*`)},
	{pattern: like(`go build -o bin/ \./worker \./starter`)},
	{pattern: like(`export PATH="\$PWD/bin:\$PATH"`)},
	{pattern: like(`cat > (var/canvasback|fleet)\.yaml <<END\n(?s:.*)\nEND`)},
	{pattern: like(`\(cd examples/node-service && npm ci\)|npm ci`)},
	{pattern: like(`node (\S+/)?check\.mjs .*`)},
	{pattern: like(`curl -s .*`)},
	{pattern: like(`mkdir -p [\w/ ]+|cd [\w/.-]+`)},
	{pattern: like(`df( -h)? \S+|timeout 10 ls \S+`)},
}

func classOf(s shown) (class, bool) {
	for _, c := range classes {
		if c.pattern.MatchString(s.text) {
			return c, true
		}
	}
	return class{}, false
}

// TestEveryCommandHasAClass fails for a command that nothing is known of, and
// for a class that no command has.
func TestEveryCommandHasAClass(t *testing.T) {
	used := map[string]bool{}
	all := 0
	for _, document := range documents(t) {
		for _, s := range commandsOf(t, document) {
			all++
			c, known := classOf(s)
			if !assert.True(t, known, "%s\nis neither run nor on the list of what is not: see classes", s) {
				continue
			}
			used[c.pattern.String()] = true
			if c.not != "" {
				require.NotNil(t, c.check, "%s: what is not run is checked some other way", c.pattern)
				c.check(t, s)
			}
		}
	}
	assert.Greater(t, all, 50)
	for _, c := range classes {
		assert.True(t, used[c.pattern.String()], "no document shows %s", c.pattern)
	}
	_, known := classOf(shown{text: "rm -r /var/backups"})
	assert.False(t, known)
}

func nothingToCheck(*testing.T, shown) {}

func executable(name string) func(*testing.T, shown) {
	return func(t *testing.T, s shown) {
		info, err := os.Stat(filepath.Join(repositoryRoot(t), name))
		require.NoError(t, err, "%s", s)
		assert.NotZero(t, info.Mode()&0o111, "%s", s)
	}
}

var attributePattern = regexp.MustCompile(`--name (\w+) --type (\w+)`)

// attributesAreOurs looks for the search attributes that a command makes.
func attributesAreOurs(t *testing.T, s shown) {
	made := map[string]string{}
	for _, m := range attributePattern.FindAllStringSubmatch(s.text, -1) {
		made[m[1]] = m[2]
	}
	if len(made) == 0 {
		return
	}
	want := map[string]string{}
	for name, kind := range app.AttributeTypes {
		want[name] = kind.String()
	}
	assert.Equal(t, want, made, "%s", s)
}

var flagPattern = regexp.MustCompile(`(?:^|\s)--?([a-z][a-z-]*)`)

// standaloneFlags looks for the flags in the source that defines them.
func standaloneFlags(t *testing.T, s shown) {
	source := textOf(t, "standalone/options.go")
	for _, m := range flagPattern.FindAllStringSubmatch(s.text, -1) {
		assert.Contains(t, source, `"`+m[1]+`"`, "%s: standalone has no such flag", s)
	}
}

// dockerFlags looks for the stage that is built, and for the flags that the worker
// is run with.
func dockerFlags(t *testing.T, s shown) {
	if m := regexp.MustCompile(`docker build .*--target (\w+)`).FindStringSubmatch(s.text); m != nil {
		assert.Regexp(t, `(?m)^FROM \S+ AS `+m[1]+`$`, textOf(t, "Dockerfile"), "%s: no such stage", s)
		return
	}
	_, args, found := strings.Cut(s.text, " canvasback-worker:")
	require.True(t, found, "%s", s)
	source := textOf(t, "worker/worker.go")
	flags := flagPattern.FindAllStringSubmatch(args, -1)
	require.NotEmpty(t, flags)
	for _, m := range flags {
		assert.Contains(t, source, `"`+m[1]+`"`, "%s: the worker has no such flag", s)
	}
}

// kubernetesIsThere looks for the directory, or for the container and the program
// in it.
func kubernetesIsThere(t *testing.T, s shown) {
	if m := regexp.MustCompile(`deploy/kubernetes/\w+$`).FindString(s.text); m != "" {
		assert.FileExists(t, filepath.Join(repositoryRoot(t), m, "kustomization.yaml"), "%s", s)
		return
	}
	m := regexp.MustCompile(`kubectl exec -n (\w+) (\w+)-0 -c (\w+) -- starter (\w+)`).FindStringSubmatch(s.text)
	require.NotNil(t, m, "%s", s)
	assert.Contains(t, textOf(t, "deploy/kubernetes/sidecar/kustomization.yaml"), "namespace: "+m[1]+"\n")
	set := textOf(t, "deploy/kubernetes/sidecar/statefulset.yaml")
	assert.Contains(t, set, "name: "+m[2]+"\n")
	assert.Contains(t, set, "- name: "+m[3]+"\n")
	assert.NoError(t, exec.Command(filepath.Join(programs(t), "starter"), m[4], "--help").Run(), "%s", s)
}

// testIsThere looks for the test and for flags that are not go test's.
func testIsThere(t *testing.T, s shown) {
	m := regexp.MustCompile(`go test \./(\S+) -run (\w+) (.*)`).FindStringSubmatch(s.text)
	require.NotNil(t, m, "%s", s)
	var source strings.Builder
	files, err := filepath.Glob(filepath.Join(repositoryRoot(t), m[1], "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "%s", s)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		source.Write(text)
	}
	assert.Regexp(t, `func \w*`+m[2]+`\w*\(t \*testing\.T\)`, source.String(), "%s: no such test", s)
	for _, flag := range flagPattern.FindAllStringSubmatch(m[3], -1) {
		if flag[1] != "v" && flag[1] != "timeout" {
			assert.Contains(t, source.String(), `("`+flag[1]+`"`, "%s: no such flag", s)
		}
	}
}

// benchmarkIsThere looks for the benchmark in the package.
func benchmarkIsThere(t *testing.T, s shown) {
	m := regexp.MustCompile(`go test \./(\S+) .* -bench (\w+) `).FindStringSubmatch(s.text)
	require.NotNil(t, m, "%s", s)
	files, err := filepath.Glob(filepath.Join(repositoryRoot(t), m[1], "*_test.go"))
	require.NoError(t, err)
	found := slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return strings.Contains(string(text), "func Benchmark"+m[2]+"(b *testing.B)")
	})
	assert.True(t, found, "%s: no such benchmark", s)
}

// TestCommandsInTheText holds what the documents name in passing to the help
// of the programs: the command is there, and so are its flags.
func TestCommandsInTheText(t *testing.T) {
	t.Parallel()
	bin := programs(t)
	helps := map[string]string{}
	help := func(args ...string) (string, bool) {
		key := strings.Join(args, " ")
		if _, ok := helps[key]; !ok {
			out, err := exec.Command(filepath.Join(bin, args[0]), slices.Concat(args[1:], []string{"--help"})...).Output()
			require.NoError(t, err, key)
			helps[key] = string(out)
		}
		return helps[key], strings.Contains(helps[key], "Usage:\n  "+key+" ")
	}
	checked := 0
	for _, document := range documents(t) {
		for _, command := range inlineOf(t, document) {
			args := strings.Fields(strings.TrimPrefix(command, "bin/"))
			words := 1
			for words < len(args) && regexp.MustCompile(`^[a-z-]+$`).MatchString(args[words]) && args[words][0] != '-' {
				if _, ok := help(args[:words+1]...); !ok {
					break
				}
				words++
			}
			assert.True(t, words > 1 || args[0] == "worker", "%s: %q is no command", document, command)
			text, _ := help(args[:words]...)
			for _, m := range flagPattern.FindAllStringSubmatch(command, -1) {
				if len(m[1]) > 1 { // -2h is no flag
					assert.Regexp(t, `--`+m[1]+`[\s=\[]`, text, "%s: %q has a flag that is not there", document, command)
				}
			}
			checked++
		}
	}
	assert.Greater(t, checked, 30)
}
