package compose

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			assert.Equal(t, "canvasback", user)
			assert.True(t, entry)
		})
	}
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
	}
}
