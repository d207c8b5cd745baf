package compose

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// root is the repository.
const root = "../.."

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithResolvedPaths(true), cli.WithConsistency(true))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, project.Services)
	return project
}

func TestServicesAreThere(t *testing.T) {
	assert.Equal(t, []string{
		"postgres", "sample", "starter", "temporal", "temporal-namespace", "temporal-schema", "temporal-ui", "worker",
	}, load(t).ServiceNames())
}

func TestPortsAreOnLoopback(t *testing.T) {
	published := 0
	for name, s := range load(t).Services {
		assert.NotEqual(t, "host", s.NetworkMode, name)
		for _, p := range s.Ports {
			published++
			ip := net.ParseIP(p.HostIP)
			assert.True(t, ip != nil && ip.IsLoopback(), "%s publishes %s on %q", name, p.Published, p.HostIP)
		}
	}
	assert.Equal(t, 2, published, "the server's and the UI's")
}

// pinned is an image with at least a major and a minor version in its tag.
var pinned = regexp.MustCompile(`^[a-z0-9/._-]+:[0-9]+\.[0-9]+[a-z0-9._-]*$`)

func TestImagesArePinned(t *testing.T) {
	for _, bad := range []string{"postgres", "postgres:latest", "postgres:16", "temporalio/ui:${VERSION}"} {
		require.NotRegexp(t, pinned, bad)
	}
	images := 0
	for name, s := range load(t).Services {
		if s.Build != nil {
			assert.Empty(t, s.Image, name)
			continue
		}
		images++
		assert.Regexp(t, pinned, s.Image, name)
	}
	assert.Equal(t, 5, images)
	for _, st := range stages(t) {
		if _, ours := stage(t, st.BaseName); !ours {
			assert.Regexp(t, pinned, st.BaseName, st.Name)
		}
	}
}

func TestReferencesResolve(t *testing.T) {
	project := load(t)
	for name, s := range project.Services {
		for other, dep := range s.DependsOn {
			target, ok := project.Services[other]
			require.True(t, ok, "%s depends on %s", name, other)
			switch dep.Condition {
			case types.ServiceConditionHealthy:
				require.NotNil(t, target.HealthCheck, "%s waits for the health of %s", name, other)
				assert.NotEmpty(t, target.HealthCheck.Test)
			case types.ServiceConditionCompletedSuccessfully:
				assert.True(t, strings.HasPrefix(target.Restart, "on-failure"), "%s waits for the end of %s, which restarts: %s", name, other, target.Restart)
			case types.ServiceConditionStarted:
			default:
				t.Errorf("%s: unknown condition %s", name, dep.Condition)
			}
		}
		for _, v := range s.Volumes {
			switch v.Type {
			case types.VolumeTypeVolume:
				assert.Contains(t, project.Volumes, v.Source, name)
			case types.VolumeTypeBind:
				assert.FileExists(t, v.Source, name)
			default:
				t.Errorf("%s: volume of type %s", name, v.Type)
			}
		}
		for _, c := range s.Configs {
			require.Contains(t, project.Configs, c.Source, name)
			assert.NotEmpty(t, project.Configs[c.Source].Content, c.Source)
		}
		if s.Build != nil {
			assert.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
			_, ok := stage(t, s.Build.Target)
			assert.True(t, ok, "%s is built from the stage %s", name, s.Build.Target)
		}
		assert.NotEmpty(t, s.Restart, "%s has no restart policy", name)
		assert.Empty(t, s.ContainerName, "%s: two projects cannot run at once", name)
	}
	for name := range project.Volumes {
		assert.True(t, slices.ContainsFunc(project.ServiceNames(), func(s string) bool {
			return slices.ContainsFunc(project.Services[s].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Source == name })
		}), "volume %s is unused", name)
	}
}

func volume(t *testing.T, s types.ServiceConfig, source string) types.ServiceVolumeConfig {
	t.Helper()
	i := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Source == source })
	require.GreaterOrEqual(t, i, 0, "%s does not mount %s", s.Name, source)
	return s.Volumes[i]
}

func TestWorker(t *testing.T) {
	project := load(t)
	w, sample := project.Services["worker"], project.Services["sample"]

	assert.True(t, volume(t, w, "data").ReadOnly, "the worker cannot write the database")
	assert.False(t, volume(t, sample, "data").ReadOnly)
	assert.False(t, volume(t, w, "backups").ReadOnly)
	for name, s := range project.Services {
		if name == "sample" {
			continue
		}
		for _, v := range s.Volumes {
			assert.True(t, v.Source != "data" || v.ReadOnly, "%s can write the database", name)
		}
	}

	args := strings.Join(w.Command, " ")
	assert.Contains(t, args, "shop="+filepath.Join(volume(t, w, "data").Target, "shop.duckdb"))
	assert.Contains(t, args, "--repository="+volume(t, w, "backups").Target)
	assert.Contains(t, sample.Command, filepath.Join(volume(t, sample, "data").Target, "shop.duckdb"))
	host := "--host=" + w.Hostname
	assert.Contains(t, args, host)
	assert.Contains(t, strings.Join(project.Services["starter"].Command, " "), "--host "+w.Hostname, "both talk of one task queue")
	require.NotNil(t, w.StopGracePeriod)
	assert.Greater(t, time.Duration(*w.StopGracePeriod), 30*time.Second, "longer than the worker's own grace")

	for _, name := range []string{"worker", "starter", "sample"} {
		s := project.Services[name]
		assert.True(t, s.ReadOnly, name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
		assert.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
	}
	assert.Equal(t, "temporal:7233", *w.Environment["TEMPORAL_ADDRESS"])
}

func TestNamespaceKeepsThirtyDays(t *testing.T) {
	script := strings.Join(load(t).Services["temporal-namespace"].Command, " ")
	assert.Equal(t, 2, strings.Count(script, "--retention 720h"), "on creation and on update")
	assert.NotContains(t, script, "--retention 24h")
}

func TestSchemaCoversBothStores(t *testing.T) {
	script := strings.Join(load(t).Services["temporal-schema"].Command, " ")
	assert.NotContains(t, script, "$$", "escapes are resolved")
	assert.Contains(t, script, `--db "$db" update-schema`)
	assert.Contains(t, script, "temporal:temporal temporal_visibility:visibility")
	project := load(t)
	assert.Equal(t, project.Services["temporal"].Image[len("temporalio/server"):], project.Services["temporal-schema"].Image[len("temporalio/admin-tools"):],
		"the schema is that of the server")
}

func TestPasswordIsOne(t *testing.T) {
	t.Setenv("POSTGRES_PASSWORD", "other")
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(string(data), "${POSTGRES_PASSWORD:-temporal}"))
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, cli.WithWorkingDirectory(root), cli.WithOsEnv)
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "other", *project.Services["postgres"].Environment["POSTGRES_PASSWORD"])
	assert.Equal(t, "other", *project.Services["temporal"].Environment["POSTGRES_PWD"])
	assert.Equal(t, "other", *project.Services["temporal-schema"].Environment["SQL_PASSWORD"])
}
