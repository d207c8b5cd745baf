package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// tool runs a program of systemd's.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// units are the files that systemd starts, as instances where they are
// templates.
var units = map[string]string{
	"canvasback-worker.service":     "canvasback-worker.service",
	"canvasback-worker@.service":    "canvasback-worker@shop.service",
	"canvasback-standalone.service": "canvasback-standalone.service",
}

// TestUnits has systemd itself read the units, and rate what is left open to
// them: 0 is nothing, 10 all.
func TestUnits(t *testing.T) {
	found, err := filepath.Glob("../systemd/*.service")
	require.NoError(t, err)
	require.Len(t, found, len(units))
	for file, instance := range units {
		text := string(read(t, filepath.Join("../systemd", file)))
		// The programs are not installed here.
		text = regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(text, "ExecStart=/bin/true")
		dir := t.TempDir()
		path := filepath.Join(dir, instance)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		assert.Empty(t, tool(t, "systemd-analyze", "verify", "--man=no", path), "%s: systemd has something to say", file)

		said := tool(t, "systemd-analyze", "security", "--offline=true", "--no-pager", path)
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(said)
		require.NotNil(t, m, said)
		exposure, err := strconv.ParseFloat(m[1], 64)
		require.NoError(t, err)
		t.Logf("%s: exposure %.1f", file, exposure)
		assert.Less(t, exposure, 2.0, "%s\n%s", file, said)
	}
}

// setting is the value of a key of a unit.
func setting(t *testing.T, unit, key string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
	require.NotNil(t, m, "%s is not set", key)
	return m[1]
}

// TestUnitsStopInGoodOrder: the worker needs up to 45 seconds, and what it
// started is its own to end first.
func TestUnitsStopInGoodOrder(t *testing.T) {
	for file := range units {
		text := string(read(t, filepath.Join("../systemd", file)))
		assert.Equal(t, "mixed", setting(t, text, "KillMode"), file)
		seconds, err := strconv.Atoi(strings.TrimSuffix(setting(t, text, "TimeoutStopSec"), "s"))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, seconds, 45, file)
		assert.Equal(t, "on-failure", setting(t, text, "Restart"), file)
		assert.Equal(t, "2", setting(t, text, "RestartPreventExitStatus"), file)
		assert.Equal(t, "strict", setting(t, text, "ProtectSystem"), file)
	}
}

// own are the settings in which the template differs from the unit that it goes
// beside.
var own = regexp.MustCompile(`(?m)^(#.*|(Description|RequiresMountsFor|User|Group|ExecStart|ReadWritePaths|PrivateUsers)=.*)\n`)

func TestTemplateIsTheUnitAgain(t *testing.T) {
	unit := string(read(t, "../systemd/canvasback-worker.service"))
	template := string(read(t, "../systemd/canvasback-worker@.service"))
	assert.Equal(t, own.ReplaceAllString(unit, ""), own.ReplaceAllString(template, ""))
}

// TestUserAndDirectories has systemd's own programs make them below another
// root.
func TestUserAndDirectories(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"etc", "var/backups", "usr/lib"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, kind := range []string{"sysusers", "tmpfiles"} {
		dir := filepath.Join(root, "usr/lib", kind+".d")
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "canvasback.conf"), read(t, "../systemd/canvasback."+kind+".conf"), 0o600))
	}
	tool(t, "systemd-sysusers", "--root", root)
	assert.Regexp(t, `(?m)^canvasback:`, string(read(t, filepath.Join(root, "etc/passwd"))))
	tool(t, "systemd-tmpfiles", "--root", root, "--create", "canvasback.conf")
	info, err := os.Stat(filepath.Join(root, "var/backups/canvasback"))
	require.NoError(t, err)
	assert.Equal(t, os.ModeDir|0o700, info.Mode())
	info, err = os.Stat(filepath.Join(root, "etc/canvasback"))
	require.NoError(t, err)
	assert.Equal(t, os.ModeDir|0o750, info.Mode())
	worker := string(read(t, "../systemd/canvasback-worker.service"))
	assert.Equal(t, "/var/backups/canvasback", setting(t, worker, "ReadWritePaths"))
	assert.Equal(t, "canvasback", setting(t, worker, "User"))
}
