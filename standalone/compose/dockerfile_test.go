package compose

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
)

func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	parsed, err := parser.Parse(bytes.NewReader(data))
	require.NoError(t, err)
	assert.Empty(t, parsed.Warnings)
	stages, _, err := instructions.Parse(parsed.AST, nil)
	require.NoError(t, err)
	require.NotEmpty(t, stages)
	return stages
}

func stage(t *testing.T, name string) (instructions.Stage, bool) {
	t.Helper()
	for _, s := range stages(t) {
		if s.Name == name {
			return s, true
		}
	}
	return instructions.Stage{}, false
}

// TestStages holds the images to running as somebody without rights, and
// COPY to files that are there.
func TestStages(t *testing.T) {
	for _, target := range []string{"worker", "starter", "sample"} {
		t.Run(target, func(t *testing.T) {
			user, entry := "", false
			for name := target; ; {
				st, ok := stage(t, name)
				if !ok {
					break
				}
				for _, c := range st.Commands {
					switch c := c.(type) {
					case *instructions.UserCommand:
						if user == "" {
							user = c.User
						}
					case *instructions.EntrypointCommand:
						entry = true
					case *instructions.CopyCommand:
						checkCopy(t, c)
					}
				}
				name = st.BaseName
			}
			assert.Equal(t, "10001:10001", user, "a number: who is no root by name only may be root")
			assert.True(t, entry)
		})
	}
}

// TestHealthcheck holds the probe to the program that the image starts.
func TestHealthcheck(t *testing.T) {
	st, ok := stage(t, "worker")
	require.True(t, ok)
	entry, probe, address := "", []string{}, ""
	for _, c := range st.Commands {
		switch c := c.(type) {
		case *instructions.EntrypointCommand:
			entry = c.CmdLine[0]
		case *instructions.HealthCheckCommand:
			probe = c.Health.Test
			assert.Greater(t, c.Health.Timeout, 8*time.Second, "the probe's own limit is 8 s")
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				if kv.Key == config.MetricsVariable {
					address = kv.Value
				}
			}
		}
	}
	assert.Equal(t, []string{"CMD", entry, "healthcheck"}, probe)
	assert.Equal(t, "127.0.0.1:9464", address)
	w := load(t).Services["worker"]
	require.NotNil(t, w.HealthCheck)
	assert.Equal(t, probe, []string(w.HealthCheck.Test))
}

// TestLint has Docker's own linter look at the file.
func TestLint(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	assert.Empty(t, lint(t, data))
	found := lint(t, []byte("from debian:12.12 as base\nMAINTAINER me\n"))
	assert.Contains(t, found, "MaintainerDeprecated")
}

func lint(t *testing.T, data []byte) (rules []string) {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(data))
	require.NoError(t, err)
	_, _, err = instructions.Parse(parsed.AST, linter.New(&linter.Config{
		Warn: func(rule, _, _, _ string, _ []parser.Range) { rules = append(rules, rule) },
	}))
	require.NoError(t, err)
	return rules
}

func checkCopy(t *testing.T, c *instructions.CopyCommand) {
	t.Helper()
	if c.From != "" {
		_, ok := stage(t, c.From)
		assert.True(t, ok, "COPY --from=%s", c.From)
		return
	}
	for _, src := range c.SourcePaths {
		_, err := os.Stat(filepath.Join(root, src))
		assert.NoError(t, err)
		ignored, err := patternmatcher.MatchesOrParentMatches(src, ignores(t))
		require.NoError(t, err)
		assert.False(t, ignored, "%s is copied and left out by .dockerignore", src)
	}
}

func ignores(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(filepath.Join(root, ".dockerignore"))
	require.NoError(t, err)
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	require.NoError(t, err)
	return patterns
}
