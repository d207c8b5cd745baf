package compose

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBuildByHand carries the build stage out on a clean copy of what is
// committed, in a folder that stands for the image's root.
func TestBuildByHand(t *testing.T) {
	tree, image := t.TempDir(), t.TempDir()
	run(t, "", nil, fmt.Sprintf("git -C %s archive HEAD | tar -x -C %s", root, tree))
	build, ok := stage(t, "build")
	require.True(t, ok)
	dir := "/"
	var env []string
	ran := 0
	for _, c := range build.Commands {
		switch c := c.(type) {
		case *instructions.WorkdirCommand:
			dir = path.Join(dir, c.Path)
			require.NoError(t, os.MkdirAll(filepath.Join(image, dir), 0o755))
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				env = append(env, kv.Key+"="+kv.Value)
			}
		case *instructions.ArgCommand:
			for _, kv := range c.Args {
				value := ""
				if kv.Value != nil {
					value = *kv.Value
				}
				if kv.Key == "VERSION" {
					value = "1.2.3" // as --build-arg gives it
				}
				env = append(env, kv.Key+"="+value)
			}
		case *instructions.CopyCommand:
			require.Empty(t, c.From)
			copyIn(t, tree, filepath.Join(image, dir), c)
		case *instructions.RunCommand:
			line := strings.Join(c.CmdLine, " ")
			run(t, filepath.Join(image, dir), env, strings.ReplaceAll(line, "/out/", image+"/out/"))
			ran++
		default:
			t.Fatalf("the build stage has a step that this test does not know: %s", c.Name())
		}
	}
	require.Equal(t, 2, ran, "modules and programs")

	programs := map[string]bool{}
	for _, target := range []string{"worker", "starter"} {
		st, ok := stage(t, target)
		require.True(t, ok)
		for _, c := range st.Commands {
			if c, ok := c.(*instructions.CopyCommand); ok && c.From == "build" {
				for _, src := range c.SourcePaths {
					programs[src] = true
				}
			}
		}
	}
	require.Len(t, programs, 2)
	for program := range programs {
		out, err := exec.Command(filepath.Join(image, program), "version").CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Regexp(t, `(?m)^canvasback +1\.2\.3$`, string(out))
		out, err = exec.Command(filepath.Join(image, program), "--help").CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), path.Base(program))
		assert.Contains(t, string(out), "--")
	}
}

func copyIn(t *testing.T, tree, dir string, c *instructions.CopyCommand) {
	t.Helper()
	dest := filepath.Join(dir, c.DestPath)
	for _, src := range c.SourcePaths {
		from := filepath.Join(tree, src)
		info, err := os.Stat(from)
		require.NoError(t, err)
		if info.IsDir() {
			require.NoError(t, os.CopyFS(dest, os.DirFS(from)))
			continue
		}
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dest, path.Base(src)), data, 0o644))
	}
}

func run(t *testing.T, dir string, env []string, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "set -e; "+line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, out)
}
