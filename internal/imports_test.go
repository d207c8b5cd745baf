// Package internal_test holds the directions of the imports between the
// packages of this module to the drawing in the documentation.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "canvasback"

// allowed lists, for each package, what of this module it may import outside
// its tests. A package that is not listed, and one that is listed and gone,
// fail the test.
var allowed = map[string][]string{
	// Leaves.
	"internal/duckfile":  {},
	"internal/failure":   {},
	"internal/hook":      {},
	"internal/human":     {},
	"internal/job":       {"internal/human"},
	"internal/listen":    {},
	"internal/pace":      {},
	"internal/retention": {},
	"internal/vfs":       {},

	"internal/codec":              {"internal/config", "internal/failure", "internal/listen", "internal/vfs"},
	"internal/checkpoint":         {"internal/config", "internal/engine", "internal/failure", "internal/hook", "internal/job", "internal/vfs"},
	"internal/check":              {"internal/failure", "internal/repo", "internal/verify", "internal/vfs"},
	"internal/config":             {"internal/failure", "internal/retention"},
	"internal/health":             {"internal/job"},
	"internal/engine":             {"internal/duckfile", "internal/failure"},
	"internal/hold":               {"internal/config", "internal/failure", "internal/hook", "internal/hotcopy"},
	"internal/hotcopy":            {"internal/duckfile", "internal/failure", "internal/job", "internal/vfs"},
	"internal/repo":               {"internal/failure", "internal/vfs"},
	"internal/restore":            {"internal/duckfile", "internal/engine", "internal/failure", "internal/hotcopy", "internal/repo", "internal/vfs", "internal/verify"},
	"internal/version":            {"internal/duckfile"},
	"internal/version/versioncmd": {"internal/engine", "internal/version"},
	"internal/verify":             {"internal/duckfile", "internal/engine", "internal/failure", "internal/repo", "internal/vfs"},

	"internal/backup": {"internal/checkpoint", "internal/config", "internal/duckfile", "internal/engine", "internal/failure", "internal/hold", "internal/hotcopy",
		"internal/human", "internal/job", "internal/pace", "internal/repo", "internal/restore", "internal/retention", "internal/verify", "internal/version", "internal/vfs"},
	"internal/notify":    {"internal/config", "internal/failure", "internal/hook", "internal/job", "internal/repo", "internal/version", "internal/vfs"},
	"activities":         {"internal/failure", "internal/job"},
	"internal/telemetry": {"activities", "internal/failure", "internal/health", "internal/job", "internal/listen", "internal/pace", "internal/version"},
	"workflows":          {"activities", "internal/failure", "internal/human", "internal/job"},
	"internal/app":       {"activities", "workflows", "internal/backup", "internal/codec", "internal/config", "internal/failure", "internal/health", "internal/job"},
	"internal/fleet":     {"internal/app", "internal/config", "internal/failure"},
	"internal/watch":     {"internal/app", "internal/config", "internal/failure", "internal/health", "internal/job", "internal/repo", "internal/vfs"},
	"internal/doctor": {"internal/app", "internal/config", "internal/duckfile", "internal/engine", "internal/failure", "internal/hook", "internal/hotcopy",
		"internal/human", "internal/job", "internal/repo", "internal/vfs"},
	"internal/cli": {"internal/app", "internal/backup", "internal/check", "internal/codec", "internal/config", "internal/doctor", "internal/duckfile", "internal/engine", "internal/failure", "internal/fleet", "internal/health", "internal/hotcopy",
		"internal/human", "internal/job", "internal/notify", "internal/repo", "internal/restore", "internal/retention", "internal/telemetry", "internal/verify", "internal/version", "internal/vfs", "workflows"},
	"starter":       {"internal/cli", "internal/engine", "internal/vfs"},
	"internal/host": {"internal/app", "internal/backup", "internal/config", "internal/notify", "internal/telemetry", "internal/vfs", "internal/watch"},
	"worker":        {"internal/app", "internal/backup", "internal/codec", "internal/config", "internal/engine", "internal/failure", "internal/host", "internal/telemetry", "internal/version", "internal/version/versioncmd", "internal/vfs"},

	// What makes a release.
	"internal/release":        {},
	"internal/release/manual": {"internal/version"},

	// Helpers of tests, which nothing that is shipped imports.
	"internal":                   {},
	"internal/crashtest":         {},
	"internal/engine/enginetest": {"internal/duckfile", "internal/engine"},
	"internal/repo/storetest":    {"internal/failure", "internal/repo", "internal/vfs", "internal/vfs/vfstest"},
	"internal/hostile":           {},
	"internal/livetest":          {"internal/engine", "internal/hotcopy", "internal/vfs"},
	"internal/tlstest":           {},
	"internal/vfs/mounttest":     {},
	"internal/vfs/vfstest":       {"internal/vfs"},
}

// leaves import the standard library only, and what is named here.
var leaves = map[string][]string{
	"internal/duckfile":  nil,
	"internal/failure":   nil,
	"internal/hook":      nil,
	"internal/human":     nil,
	"internal/job":       {"canvasback/internal/human"},
	"internal/retention": nil,
	"internal/vfs":       {"golang.org/x/sys"},
}

// owners lists, for a foreign module, the only packages that may import it,
// their tests included.
var owners = map[string][]string{
	"go.temporal.io":                       {"activities", "internal/app", "internal/cli", "internal/codec", "internal/host", "internal/telemetry", "internal/watch", "worker", "workflows"},
	"github.com/duckdb/duckdb-go":          {"internal/engine", "internal/engine/enginetest"},
	"github.com/marcboeker/go-duckdb":      nil,
	"github.com/duckdb/duckdb-go-bindings": {"internal/engine", "internal/engine/enginetest"},
	"github.com/spf13/cobra":               {"internal/cli", "internal/release/manual", "internal/version/versioncmd", "worker"},
	"github.com/schollz/progressbar":       {"internal/cli"},
	"github.com/prometheus":                {"internal/telemetry"},
	"go.opentelemetry.io":                  {"internal/telemetry"},
	"go.temporal.io/server":                nil,
	"github.com/temporalio/ui-server":      nil,
}

// goPackage is what the go command says of a package.
type goPackage struct {
	ImportPath   string
	Name         string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// withTests are the direct imports, those of the package's tests included.
func (p goPackage) withTests() []string {
	return slices.Concat(p.Imports, p.TestImports, p.XTestImports)
}

func TestImportsPointDown(t *testing.T) {
	packages := list(t, "./...")
	for _, p := range packages {
		may, listed := allowed[p.name()]
		if !assert.Truef(t, listed, "%s is not in the table of allowed imports", p.ImportPath) {
			continue
		}
		for _, path := range p.Imports {
			if name, ours := strings.CutPrefix(path, module+"/"); ours {
				assert.Containsf(t, may, name, "%s may not import %s", p.ImportPath, path)
			}
		}
	}
	for name := range allowed {
		there := slices.ContainsFunc(packages, func(p goPackage) bool { return p.name() == name })
		assert.Truef(t, there, "the table of allowed imports lists %s, which does not exist", name)
	}
}

func TestAllowedImportsHaveNoCycle(t *testing.T) {
	done := map[string]bool{}
	var visit func(path []string)
	visit = func(path []string) {
		name := path[len(path)-1]
		require.NotContains(t, path[:len(path)-1], name, "the table lets packages import each other in a circle")
		if done[name] {
			return
		}
		for _, next := range allowed[name] {
			require.Containsf(t, allowed, next, "%s may import %s, which has no row", name, next)
			visit(append(slices.Clone(path), next))
		}
		done[name] = true
	}
	for name := range allowed {
		visit([]string{name})
	}
}

func TestLeavesImportOnlyTheStandardLibrary(t *testing.T) {
	seen := 0
	for _, p := range list(t, "./internal/...") {
		may, leaf := leaves[p.name()]
		if !leaf {
			continue
		}
		seen++
		for _, path := range p.Imports {
			assert.Truef(t, standard(path) || within(path, may), "%s is a leaf and may not import %s", p.ImportPath, path)
		}
	}
	assert.Equal(t, len(leaves), seen)
}

func TestForeignModulesHaveOneHome(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, path := range p.withTests() {
			for foreign, homes := range owners {
				if within(path, []string{foreign}) {
					assert.Containsf(t, homes, p.name(), "%s may not import %s", p.ImportPath, path)
				}
			}
		}
	}
}

// TestShippedProgramsLeaveTestCodeOut looks at this module's packages in the
// programs only: Temporal's SDK has its test suite in the package of its types.
func TestShippedProgramsLeaveTestCodeOut(t *testing.T) {
	shipped := map[string]bool{}
	for _, p := range list(t, "./starter", "./worker") {
		assert.Equal(t, "main", p.Name)
		shipped[p.ImportPath] = true
		for _, path := range p.Deps {
			if strings.HasPrefix(path, module+"/") {
				shipped[path] = true
			}
		}
	}
	require.Greater(t, len(shipped), 2)
	for _, p := range list(t, slices.Sorted(maps.Keys(shipped))...) {
		assert.Falsef(t, strings.HasSuffix(p.ImportPath, "test"), "%s is shipped", p.ImportPath)
		for _, path := range p.Imports {
			assert.Falsef(t, within(path, []string{"testing", "github.com/stretchr/testify"}), "%s is shipped and imports %s", p.ImportPath, path)
		}
	}
}

func TestMainModuleDoesNotRequireTheServer(t *testing.T) {
	for _, name := range []string{"../go.mod", "../go.sum"} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(content), "go.temporal.io/sdk", name)
		for _, server := range []string{"go.temporal.io/server", "github.com/temporalio/ui-server"} {
			assert.NotContains(t, string(content), server, name)
		}
	}
}

// list asks the go command about the main module's packages as it is
// released, that is, without the workspace.
func list(t *testing.T, patterns ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json"}, patterns...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	require.NoErrorf(t, err, "go list %v: %s", patterns, &errOut)
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
	require.NotEmptyf(t, packages, "go list %v found nothing", patterns)
	return packages
}

// standard tells a path of the standard library: its first element has no dot
// and is not this module.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != module && !strings.Contains(first, ".")
}

// within tells whether path is one of the roots or below one.
func within(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}
