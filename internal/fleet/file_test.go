package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/app"
	"canvasback/internal/failure"
)

const whole = `
fleet: production
defaults:
  host: db1
  schedule: '0 3 * * *'
  timezone: Europe/Amsterdam
  jitter: 30m
  overlap: skip
  catchup_window: 1h
databases:
  - name: shop
    schedule: '@every 15m'
    jitter: 0s
  - name: crm
    host: db2
    timezone: UTC
    overlap: buffer-one
    paused: true
    drill: {schedule: '0 5 * * 0', jitter: 2h, timezone: Asia/Tokyo}
  - {name: logs, paused: false, drill: {schedule: '@weekly'}}
`

func TestWantedOfAFile(t *testing.T) {
	f, err := parse([]byte(whole), "fleet.yaml")
	require.NoError(t, err)
	yes, no := true, false
	spec := func(task app.Task, database, host, cron, zone string, jitter time.Duration, overlap string) app.Spec {
		return app.Spec{Task: task, Database: database, Host: host, Cron: cron, Timezone: zone, Jitter: jitter, Overlap: overlap, Catchup: time.Hour, Fleet: "production"}
	}
	assert.Equal(t, []Wanted{
		{spec(app.TaskBackup, "shop", "db1", "@every 15m", "Europe/Amsterdam", 0, "skip"), nil},
		{spec(app.TaskBackup, "crm", "db2", "0 3 * * *", "UTC", 30*time.Minute, "buffer-one"), &yes},
		{spec(app.TaskDrill, "crm", "db2", "0 5 * * 0", "Asia/Tokyo", 2*time.Hour, "buffer-one"), &yes},
		{spec(app.TaskBackup, "logs", "db1", "0 3 * * *", "Europe/Amsterdam", 30*time.Minute, "skip"), &no},
		{spec(app.TaskDrill, "logs", "db1", "@weekly", "Europe/Amsterdam", 30*time.Minute, "skip"), &no},
	}, f.Wanted())
}

func TestDrillsOfTheDefaults(t *testing.T) {
	f, err := parse([]byte(`
fleet: f
defaults: {host: db1, schedule: '@daily', jitter: 1m, drill: {schedule: '@weekly', jitter: 1h}}
databases: [{name: a}, {name: b, drill: {off: true}}, {name: c, drill: {jitter: 2h}}]
`), "fleet.yaml")
	require.NoError(t, err)
	got := map[string]string{}
	for _, w := range f.Wanted() {
		if w.Task == app.TaskDrill {
			got[w.Database] = fmt.Sprint(w.Cron, " ", w.Jitter)
		}
	}
	assert.Equal(t, map[string]string{"a": "@weekly 1h0m0s", "c": "@weekly 2h0m0s"}, got)
}

func TestFaultsOfAFile(t *testing.T) {
	const head = "fleet: f\ndefaults: {host: db1, schedule: '@daily'}\ndatabases:\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", "fleet.yaml: fleet: missing: name the fleet, such as production\nfleet.yaml: databases: missing: name at least one database"},
		{"no YAML", "fleet: [", "fleet.yaml:1: did not find expected node content"},
		{"a list", "- a\n", "fleet.yaml:1: a set of keys is wanted here"},
		{"two documents", head + "- {name: a}\n---\n{}\n", "fleet.yaml: one YAML document is wanted, and there is more"},
		{"unknown keys", head + "- {name: a, hots: db2}\n- {name: b, drill: {when: x}}\n",
			"fleet.yaml:4: unknown key \"hots\"\nfleet.yaml:5: unknown key \"when\""},
		{"a key twice", head + "- {name: a, name: b}\n", "fleet.yaml:4: mapping key \"name\" already defined at line 4"},
		{"wrong types", head + "- {name: a, paused: maybe}\n- {name: b, jitter: soon}\n- {name: c, drill: daily}\n",
			"fleet.yaml:4: true or false is wanted here, not maybe\nfleet.yaml:5: \"soon\" is not a duration such as 90s or 1h30m\nfleet.yaml:6: a set of keys is wanted here, not daily"},
		{"a database twice", head + "- {name: a}\n- {name: b}\n- {name: a, host: db2}\n",
			"fleet.yaml:6: databases[2].name: \"a\" is the name of databases[0] already: a database has one host and one schedule"},
		{"names", "fleet: Prod!\ndefaults: {host: 'a b', schedule: '@daily'}\ndatabases:\n- {name: ../x}\n- {name: b, host: '-'}\n- {}\n",
			"fleet.yaml:1: fleet: \"Prod!\" is not a name: " + nameRule + "\n" +
				"fleet.yaml:2: defaults.host: \"a b\" is not a host name\n" +
				"fleet.yaml:4: databases[0].name: \"../x\" is not a name: " + nameRule + "\n" +
				"fleet.yaml:5: databases[1].host: \"-\" is not a host name\n" +
				"fleet.yaml:6: databases[2].name: missing: name the database as its worker's configuration does"},
		{"neither host nor schedule", "fleet: f\ndatabases:\n- {name: a}\n",
			"fleet.yaml:3: databases[0].host: missing: name the host whose worker has the database, here or in defaults\n" +
				"fleet.yaml:3: databases[0].schedule: missing: say when backups begin, here or in defaults"},
		{"a drill without a time", head + "- {name: a, drill: {jitter: 1h}}\n",
			"fleet.yaml:4: databases[0].drill.schedule: missing: say when drills begin, here or in defaults.drill"},
		{"times of a database", head + "- {name: a, schedule: 0 3 * *, jitter: -1s, overlap: allow, catchup_window: 1s}\n- {name: b, timezone: Mars}\n",
			"fleet.yaml:4: databases[0].jitter: a time to put starts off by cannot be negative\n" +
				"fleet.yaml:4: databases[0].catchup_window: at least 10s, or left out for one interval of the schedule\n" +
				"fleet.yaml:4: databases[0].overlap: overlap policy \"allow\": want skip or buffer-one\n" +
				"fleet.yaml:4: databases[0].schedule: cron expression \"0 3 * *\": expected exactly 5 fields, found 4: 0 3 * *\n" +
				"fleet.yaml:5: databases[1].timezone: time zone \"Mars\": unknown time zone Mars"},
		{"times of the defaults, said once", "fleet: f\ndefaults: {host: db1, schedule: hourly, drill: {schedule: weekly}}\ndatabases: [{name: a}, {name: b}]\n",
			"fleet.yaml:2: defaults.schedule: cron expression \"hourly\": expected exactly 5 fields, found 1: hourly\n" +
				"fleet.yaml:2: defaults.drill.schedule: cron expression \"weekly\": expected exactly 5 fields, found 1: weekly"},
		{"times of a drill", head + "- {name: a, drill: {schedule: '', overlap: all}}\n",
			"fleet.yaml:4: databases[0].drill.overlap: overlap policy \"all\": want skip or buffer-one\n" +
				"fleet.yaml:4: databases[0].drill.schedule: empty: a cron expression is wanted, such as '0 3 * * *'"},
		{"no drill by default", "fleet: f\ndefaults: {host: db1, schedule: '@daily', drill: {off: true, schedule: '@weekly'}}\ndatabases: [{name: a}]\n",
			"fleet.yaml:2: defaults.drill.off: only a database can say so: leave the drill out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse([]byte(tt.text), "fleet.yaml")
			require.Error(t, err)
			assert.Equal(t, failure.InvalidConfig, failure.Of(err))
			assert.Equal(t, tt.want, err.Error())
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet.yaml")
	_, err := Load(path)
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
	assert.ErrorContains(t, err, path)

	require.NoError(t, os.WriteFile(path, []byte(whole), 0o600))
	f, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, "production", f.Fleet)

	var large strings.Builder
	large.WriteString("fleet: f\ndefaults: {host: db1, schedule: '@daily'}\ndatabases:\n")
	for i := range 10000 {
		fmt.Fprintf(&large, "  - {name: database-%d, host: host-%d.example.org, schedule: '%d 3 * * *', jitter: 30m}\n", i, i%50, i%60)
	}
	require.NoError(t, os.WriteFile(path, []byte(large.String()), 0o600))
	f, err = Load(path)
	require.NoError(t, err)
	assert.Len(t, f.Wanted(), 10000)

	require.NoError(t, os.WriteFile(path, make([]byte, maxFile+1), 0o600))
	_, err = Load(path)
	assert.ErrorContains(t, err, "larger than 16777216 bytes")
}

// FuzzParse: no text makes it panic, what it refuses is an InvalidConfig, and of
// what it takes every schedule is one that can be made, with a name of its own.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("fleet: f\ndefaults: {host: db1, schedule: '@daily', drill: {schedule: '@weekly'}}\ndatabases: [{name: a}, {name: b, drill: {off: true}}]\n"))
	f.Add([]byte("fleet: f\nx: &a [1]\ndatabases: [*a, {<<: *a}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data, "fleet.yaml")
		if err != nil {
			require.Equal(t, failure.InvalidConfig, failure.Of(err), err)
			return
		}
		seen := map[string]bool{}
		for _, w := range file.Wanted() {
			require.NoError(t, w.Check())
			require.NotEmpty(t, w.Host)
			require.NotEmpty(t, w.Fleet)
			require.False(t, seen[w.Task.ID(w.Database)], "one schedule each")
			seen[w.Task.ID(w.Database)] = true
		}
		require.NotEmpty(t, seen)
	})
}
