package version

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOfBuildWithAnEngine(t *testing.T) {
	info := OfBuild().With("v1.5.6")
	assert.Equal(t, "devel", info.Version)
	assert.Equal(t, "v1.5.6", info.Engine)
	assert.Equal(t, "64 to 68", info.Verified)
	assert.Equal(t, "64 to 69", info.Copied)
	assert.Contains(t, info.Platform, "/")
	assert.Empty(t, OfBuild().With("").Verified)
	assert.Equal(t, "devel", String())
}

func TestFromBuild(t *testing.T) {
	var info Info
	info.fromBuild(&debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Deps:     []*debug.Module{{Path: "go.temporal.io/sdk", Version: "v1.50.0"}, {Path: "github.com/duckdb/duckdb-go/v2", Version: "v2.10506.0"}, {Path: "x", Version: "v9.0.0"}},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	})
	assert.Equal(t, Info{Version: "v1.2.3", Revision: "abc", Modified: true, Driver: "v2.10506.0", SDK: "v1.50.0"}, info)
	var out strings.Builder
	require.NoError(t, info.Write(&out))
	assert.Contains(t, out.String(), "revision       abc, modified\n")
	assert.NotContains(t, out.String(), "engine")
}

func TestReleaseNameWins(t *testing.T) {
	defer func() { release, revision = "", "" }()
	release, revision = "1.2.3", "abc"
	info := OfBuild()
	assert.Equal(t, "1.2.3", info.Version)
	assert.Equal(t, "abc", info.Revision)
}
