package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

// write puts a configuration file into a new directory, where DIR in its text
// stands for that directory.
func write(t *testing.T, text string) (dir, path string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	path = filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600))
	return dir, path
}

func TestLoad(t *testing.T) {
	t.Run("minimal file gets every default and absolute paths", func(t *testing.T) {
		dir, path := write(t, "repository: backups\ndatabases:\n- name: shop\n  path: data/../shop.duckdb\n")
		c, err := Load(path)
		require.NoError(t, err)
		host, err := os.Hostname()
		require.NoError(t, err)
		assert.Equal(t, &Config{
			Host: host, Repository: dir + "/backups", Copies: 1, Bandwidth: Bandwidth{Pressure: DefaultPressure}, file: path, sum: c.Sum(),
			Databases: []Database{{
				Name: "shop", Path: dir + "/shop.duckdb",
				Checkpoint: Checkpoint{Mode: "none", Timeout: Duration(time.Minute), OnError: "continue"},
				Hold:       Hold{Mode: "none", Timeout: Duration(30 * time.Second), Deadline: Duration(10 * time.Minute), OnError: "continue"},
				Copy:       Copy{Settle: Duration(5 * time.Second), Clone: CloneAuto, Attempts: 60, Timeout: Duration(6 * time.Hour)},
				Verify:     Verify{Level: "full", Timeout: Duration(time.Hour)},
				Retention:  Retention{KeepLast: 10, TimeZone: "UTC", MinVerified: 2},
				Drill:      Drill{Backup: "latest", Level: "full"},
			}},
		}, c)
		assert.NoError(t, c.Validate())
	})

	t.Run("full file keeps what it says", func(t *testing.T) {
		dir, path := write(t, fullFile)
		c, err := Load(path)
		require.NoError(t, err)
		assert.Equal(t, "db1", c.Host)
		assert.Equal(t, 2, c.Copies)
		require.Len(t, c.Databases, 3)
		shop, ok := c.Database("shop")
		require.True(t, ok)
		assert.Equal(t, Database{
			Name: "shop", Path: "/srv/shop.duckdb", EngineVersion: "1.4.1", KeyFile: dir + "/shop.key",
			Checkpoint: Checkpoint{Mode: "command", Command: []string{dir + "/bin/fold", "--now"}, Timeout: Duration(10 * time.Second), OnError: "fail"},
			Hold: Hold{Mode: "command", Command: []string{dir + "/bin/hold", "quietly"}, Timeout: Duration(5 * time.Second),
				Deadline: Duration(2 * time.Minute), OnError: "fail"},
			Copy:       Copy{Bandwidth: 64e6, Settle: Duration(90 * time.Second), Barrier: true, Clone: CloneNever, Network: true, Attempts: 7, Timeout: Duration(2 * time.Hour)},
			Verify:     Verify{Level: "open", MemoryLimit: "2GB", Threads: 3, Timeout: Duration(10 * time.Minute)},
			Engine:     Engine{Command: []string{dir + "/bin/duckdb", "-unsigned"}},
			Retention:  Retention{KeepLast: KeepAll, TimeZone: "UTC", MinVerified: 2},
			Drill:      Drill{Backup: "random", Level: "assert", Directory: dir + "/scratch"},
			Restore:    Restore{Targets: map[string]string{"live": "/srv/shop.duckdb", "spare": dir + "/spare.duckdb"}},
			Assertions: []Assertion{{Name: "orders", SQL: "select count(*) > 0 from orders", Expect: "true", Timeout: Duration(time.Minute)}},
		}, *shop)
		assert.Equal(t, "http://127.0.0.1:8080/checkpoint", c.Databases[1].Checkpoint.URL)
		assert.Equal(t, dir+"/hook.sock", c.Databases[2].Checkpoint.Socket)
		assert.Equal(t, Hold{Mode: "http", URL: "http://hook/hold", Socket: dir + "/hold.sock", Timeout: Duration(30 * time.Second),
			Deadline: Duration(10 * time.Minute), OnError: "continue"}, c.Databases[2].Hold)
		_, ok = c.Database("nope")
		assert.False(t, ok)
	})
}

const fullFile = `
host: db1
repository: /backups
copies: 2
databases:
  - name: shop
    path: /srv/shop.duckdb
    engine_version: 1.4.1
    key_file: shop.key
    checkpoint: {mode: command, command: [bin/fold, --now], timeout: 10s, on_error: fail}
    hold: {mode: command, command: [bin/hold, quietly], timeout: 5s, deadline: 2m, on_error: fail}
    copy: {bandwidth: 64MB, settle: 1m30s, barrier: true, clone: never, allow_network: true, attempts: 7, timeout: 2h}
    verify: {level: L2, memory_limit: 2GB, threads: 3, timeout: 10m}
    engine: {command: [bin/duckdb, -unsigned]}
    retention: {keep_last: -1}
    drill: {backup: random, directory: scratch}
    restore: {targets: {live: /srv/shop.duckdb, spare: spare.duckdb}}
    assertions:
      - {name: orders, sql: "select count(*) > 0 from orders", expect: "true"}
  - name: web
    path: /srv/web.duckdb
    checkpoint: {mode: http, url: "http://127.0.0.1:8080/checkpoint"}
    copy: {bandwidth: 4096}
  - name: sock
    path: /srv/sock.duckdb
    checkpoint: {mode: http, url: "http://hook/checkpoint", socket: hook.sock}
    hold: {mode: http, url: "http://hook/hold", socket: hold.sock}
`

// head begins a file with one good database; its next line is line 6.
const head = "repository: /backups\ndatabases:\n- name: shop\n  path: /srv/shop.duckdb\n  # line 5\n"

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // ":LINE: text", or ": text", after the file's name
	}{
		{"empty file", "", []string{
			": repository: missing: name the directory of the backups",
			": databases: missing: name at least one database"}},
		{"unknown keys at every level", "repositry: /b\n" + head + "  retention: {keep: 3}\n", []string{
			`:1: unknown key "repositry"`, `:7: unknown key "keep"`}},
		{"repeated key", "repository: /a\n" + head, []string{`:2: mapping key "repository" already defined at line 1`}},
		{"two documents", head + "---\nrepository: /b\n", []string{": one YAML document is wanted, and there is more"}},
		{"not YAML", "repository: [\n", []string{":1: did not find expected node content"}},
		{"a list where keys belong", "- a\n- b\n", []string{":1: a set of keys is wanted here"}},
		{"types", "repository: [a]\ncopies: many\ndatabases:\n- name: shop\n  path: /srv/s\n  copy: {bandwidth: fast, settle: soon}\n  retention: {keep_last: ten}\n", []string{
			":1: text is wanted here", ":2: a whole number is wanted here, not many",
			`:6: "fast" is not a size such as 4096, 64KB or 16MiB`, `:6: "soon" is not a duration such as 90s or 1h30m`,
			":7: a whole number is wanted here, not ten"}},
		{"list as a duration", head + "  copy: {settle: [1s]}\n", []string{":6: a single value is wanted here"}},
		{"two databases with one name", head + "- name: shop\n  path: /srv/other.duckdb\n", []string{
			`:6: databases[1].name: "shop" is the name of databases[0] already`}},
		{"two databases with one path", head + "- name: other\n  path: /srv/../srv/shop.duckdb\n", []string{
			":7: databases[1].path: /srv/../srv/shop.duckdb is the file of databases[0] already"}},
		{"names and paths", "repository: /b\ndatabases:\n- name: Shop\n  path: /srv/a\n- path: /srv/b\n- name: ../x\n", []string{
			`:3: databases[0].name: "Shop" is not a name: lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit, at most 64`,
			":5: databases[1].name: missing",
			`:6: databases[2].name: "../x" is not a name: lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit, at most 64`,
			":6: databases[2].path: missing: name the database file"}},
		{"host", "host: a b\n" + head, []string{`:1: host: "a b" is not a host name`}},
		{"zeros that are no defaults", "copies: 0\n" + head + "  copy: {settle: 0s, attempts: 0, timeout: 0}\n  retention:\n    keep_last: 0\n  verify: {timeout: 0s}\n  checkpoint: {timeout: 0s}\n", []string{
			":1: copies: 0 is not a number of copies: at least 1",
			":7: databases[0].copy.settle: 0 is no waiting time: leave the key out for 5s",
			":7: databases[0].copy.attempts: 0 is not a number of attempts: at least 1",
			":7: databases[0].copy.timeout: 0 is no time limit: leave the key out for 6h0m0s",
			":9: databases[0].retention.keep_last: 0 is not a number of backups: at least 1, or -1 to keep all",
			":10: databases[0].verify.timeout: 0 is no time limit: leave the key out for 1h0m0s",
			":11: databases[0].checkpoint.timeout: 0 is no time limit: leave the key out for 1m0s"}},
		{"negatives", "copies: -1\n" + head + "  copy: {bandwidth: -1, settle: -1s, attempts: -1, timeout: -1s}\n  retention: {keep_last: -2}\n  verify: {threads: -1, timeout: -1s}\n", []string{
			":1: copies: -1 is not a number of copies: at least 1",
			":7: databases[0].copy.bandwidth: -1 is negative",
			":7: databases[0].copy.settle: -1s is no waiting time: more than 0",
			":7: databases[0].copy.attempts: -1 is not a number of attempts: at least 1",
			":7: databases[0].copy.timeout: -1s is no time limit: more than 0",
			":8: databases[0].retention.keep_last: -2 is not a number of backups: at least 1, or -1 to keep all",
			":9: databases[0].verify.threads: -1 is negative",
			":9: databases[0].verify.timeout: -1s is no time limit: more than 0"}},
		{"words", head + "  engine_version: 1.4\n  verify: {level: deep, memory_limit: lots}\n", []string{
			`:6: databases[0].engine_version: "1.4" is not a DuckDB version such as 1.4.1`,
			`:7: databases[0].verify.level: "deep" is not one of bytes, open, full, assert`,
			`:7: databases[0].verify.memory_limit: "lots" is not a size such as 512MB or 2GB`}},
		{"levels that cannot be", head + "  verify: {level: L5}\n- name: b\n  path: /srv/b\n  verify: {level: L4}\n  engine: {command: []}\n- name: c\n  path: /srv/c\n  engine: {command: ['']}\n", []string{
			`:6: databases[0].verify.level: "L5" is not one of bytes, open, full, assert`,
			":9: databases[1].verify.level: assert without assertions: name some, or say full",
			":10: databases[1].engine.command: no program: name a DuckDB command-line shell, such as [/usr/bin/duckdb]",
			":13: databases[2].engine.command: no program: name a DuckDB command-line shell, such as [/usr/bin/duckdb]"}},
		{"one hold for two", head + "  hold: {mode: http, url: http://127.0.0.1:1/hold}\n- name: b\n  path: /srv/b\n  hold: {mode: http, url: http://127.0.0.1:1/hold}\n", []string{
			":9: databases[1].hold.url: http://127.0.0.1:1/hold is the hold of databases[0] already: each database needs one of its own"}},
		{"key of what the worker opens itself", head + "  key_file: k\n  checkpoint: {mode: open}\n", []string{
			":7: databases[0].checkpoint.mode: open does not open an encrypted database: ask the service that has the key, by command or http"}},
		{"clones", head + "  copy: {clone: always}\n", []string{
			`:6: databases[0].copy.clone: "always" is not one of auto, never`}},
		{"memory of nothing", head + "  verify: {memory_limit: 0.0GB}\n", []string{
			`:6: databases[0].verify.memory_limit: "0.0GB" is not a size such as 512MB or 2GB`}},
		{"unknown checkpoint mode", head + "  checkpoint: {mode: force, on_error: shrug}\n", []string{
			`:6: databases[0].checkpoint.mode: "force" is not one of none, command, http, open`,
			`:6: databases[0].checkpoint.on_error: "shrug" is not one of continue, fail`}},
		{"hook settings without their mode", head + "  checkpoint: {command: [fold], url: http://localhost/, socket: /s}\n", []string{
			":6: databases[0].checkpoint.command: set, but mode is none",
			":6: databases[0].checkpoint.url: set, but mode is none",
			":6: databases[0].checkpoint.socket: set, but mode is none"}},
		{"modes without their settings", head + "  checkpoint: {mode: command}\n- name: b\n  path: /srv/b\n  checkpoint: {mode: http}\n", []string{
			":6: databases[0].checkpoint.command: missing: mode command needs a list such as [/usr/local/bin/fold, --now]",
			":9: databases[1].checkpoint.url: missing: mode http needs one such as http://127.0.0.1:8080/checkpoint"}},
		{"URL of another machine", head + "  checkpoint: {mode: http, url: http://example.com/x}\n", []string{
			`:6: databases[0].checkpoint.url: "http://example.com/x" is not on this machine: localhost, 127.0.0.1 or [::1], or a unix socket in checkpoint.socket`}},
		{"URL that looks like loopback", head + "  checkpoint: {mode: http, url: http://127.0.0.1.example.com/x}\n", []string{
			`:6: databases[0].checkpoint.url: "http://127.0.0.1.example.com/x" is not on this machine: localhost, 127.0.0.1 or [::1], or a unix socket in checkpoint.socket`}},
		{"URL with a password keeps it to itself", head + "  checkpoint: {mode: http, url: http://u:secret@localhost/x}\n", []string{
			`:6: databases[0].checkpoint.url: "http://u:xxxxx@localhost/x" holds a user name: the hook is called without one`}},
		{"URL of another scheme", head + "  checkpoint: {mode: http, url: https://localhost/x}\n", []string{
			`:6: databases[0].checkpoint.url: "https://localhost/x" is not a URL of the form http://HOST:PORT/PATH`}},
		{"hold of nothing", head + "  hold: {mode: open, command: [x], timeout: 0, deadline: 0s, on_error: wait}\n", []string{
			":6: databases[0].hold.timeout: 0 is no time limit: leave the key out for 30s",
			":6: databases[0].hold.deadline: 0 is no time: leave the key out for 10m0s",
			`:6: databases[0].hold.mode: "open" is not one of none, command, http`,
			`:6: databases[0].hold.on_error: "wait" is not one of continue, fail`}},
		{"hold settings without their mode", head + "  hold: {command: [x], url: http://localhost/, socket: /s}\n", []string{
			":6: databases[0].hold.command: set, but mode is none",
			":6: databases[0].hold.url: set, but mode is none",
			":6: databases[0].hold.socket: set, but mode is none"}},
		{"hold modes without their settings", head + "  hold: {mode: command}\n- name: b\n  path: /srv/b\n  hold: {mode: http, deadline: -1s}\n", []string{
			":6: databases[0].hold.command: missing: mode command needs a list such as [/usr/local/bin/hold, --quietly]",
			":9: databases[1].hold.url: missing: mode http needs one such as http://127.0.0.1:8080/hold",
			":9: databases[1].hold.deadline: -1s is no time: more than 0"}},
		{"hold of another machine for parts of a second", head + "  hold: {mode: http, url: http://192.0.2.1/x, deadline: 1500ms}\n", []string{
			`:6: databases[0].hold.url: "http://192.0.2.1/x" is not on this machine: localhost, 127.0.0.1 or [::1], or a unix socket in hold.socket`,
			":6: databases[0].hold.deadline: 1.5s is not a whole number of seconds"}},
		{"drills", head + "  drill: {backup: oldest, level: bytes}\n- {name: crm, path: /srv/c, drill: {level: assert}}\n", []string{
			`:6: databases[0].drill.backup: "oldest" is not one of latest, random`,
			`:6: databases[0].drill.level: "bytes" is not one of open, full, assert`,
			":7: databases[1].drill.level: assert, but the database has no assertions"}},
		{"targets", head + "  restore:\n    targets:\n      Live: /srv/x\n      none: ''\n      crm: /srv/c\n      repo: /backups/shop/x\n      ok: /srv/shop\n- {name: crm, path: /srv/c}\n", []string{
			`:8: databases[0].restore.targets.Live: "Live" is not a name: lower-case letters, digits, dot, underscore and hyphen`,
			":9: databases[0].restore.targets.none: missing: name the database file to make",
			":10: databases[0].restore.targets.crm: /srv/c is the file of databases[1]",
			":11: databases[0].restore.targets.repo: /backups/shop/x lies inside the repository /backups"}},
		{"assertions", head + "  assertions:\n  - {name: a, sql: select 1}\n  - {name: a, sql: ' '}\n  - {sql: select 1, timeout: -1s}\n", []string{
			`:8: databases[0].assertions[1].name: "a" is the name of an earlier assertion already`,
			":8: databases[0].assertions[1].sql: missing",
			":9: databases[0].assertions[2].name: missing",
			":9: databases[0].assertions[2].timeout: -1s is no time limit: more than 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, path := write(t, tt.text)
			_, err := Load(path)
			require.Error(t, err)
			assert.Same(t, failure.InvalidConfig, failure.Of(err))
			assert.Equal(t, path+strings.Join(tt.want, "\n"+path), err.Error())
		})
	}
}

func TestLoadRefusesOverlap(t *testing.T) {
	tests := []struct {
		name, repository, path, want string
	}{
		{"repository is the file", "DIR/shop.duckdb", "DIR/shop.duckdb", "the repository DIR/shop.duckdb is the database file itself"},
		{"repository below the file", "DIR/shop.duckdb/backups", "DIR/shop.duckdb", "the repository DIR/shop.duckdb/backups lies below the database file DIR/shop.duckdb"},
		{"file inside the repository", "DIR", "DIR/shop.duckdb", "the database file DIR/shop.duckdb lies inside the repository DIR"},
		{"repository is a link to the file", "DIR/link", "DIR/shop.duckdb", "the repository DIR/link is the database file itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, path := write(t, fmt.Sprintf("repository: %s\ndatabases:\n- name: shop\n  path: %s\n", tt.repository, tt.path))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "shop.duckdb"), nil, 0o600))
			require.NoError(t, os.Symlink("shop.duckdb", filepath.Join(dir, "link")))
			_, err := Load(path)
			require.Error(t, err)
			assert.Same(t, failure.RepoOverlap, failure.Of(err))
			assert.Equal(t, path+":4: databases[0].path: "+strings.ReplaceAll(tt.want, "DIR", dir), err.Error())
		})
	}
	t.Run("a sibling with the same beginning is no overlap", func(t *testing.T) {
		_, path := write(t, "repository: DIR/shop\ndatabases:\n- name: shop\n  path: DIR/shop.duckdb\n")
		_, err := Load(path)
		assert.NoError(t, err)
	})
}

func TestLoadSeesOneFileUnderTwoPaths(t *testing.T) {
	dir, path := write(t, "repository: /b\ndatabases:\n- {name: a, path: DIR/a}\n- {name: b, path: DIR/soft}\n- {name: c, path: DIR/hard}\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "soft")))
	require.NoError(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "hard")))
	_, err := Load(path)
	require.EqualError(t, err, strings.Join([]string{
		path + ":4: databases[1].path: " + dir + "/soft is the file of databases[0] already",
		path + ":5: databases[2].path: " + dir + "/hard is the file of databases[0] already",
		path + ":5: databases[2].path: " + dir + "/hard is the file of databases[1] already",
	}, "\n"))
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none.yaml"))
	assert.EqualError(t, err, "configuration file "+dir+"/none.yaml: no such file or directory")
	assert.Same(t, failure.InvalidConfig, failure.Of(err))
	_, err = Load(dir)
	assert.EqualError(t, err, "configuration file "+dir+": not a regular file")
	big := filepath.Join(dir, "big.yaml")
	require.NoError(t, os.WriteFile(big, make([]byte, maxFile+1), 0o600))
	_, err = Load(big)
	assert.EqualError(t, err, "configuration file "+big+": larger than 1048576 bytes")
}

func TestFromFlags(t *testing.T) {
	wd, err := os.Getwd()
	require.NoError(t, err)

	t.Run("names and relative paths", func(t *testing.T) {
		c, err := FromFlags([]string{"shop=a=b.duckdb", "web=/srv/web.duckdb"}, "backups", "db1")
		require.NoError(t, err)
		assert.Equal(t, wd+"/backups", c.Repository)
		assert.Equal(t, "db1", c.Host)
		assert.Equal(t, wd+"/a=b.duckdb", c.Databases[0].Path)
		assert.Equal(t, DefaultKeepLast, c.Databases[1].Retention.KeepLast)
	})

	refused := []struct {
		name       string
		databases  []string
		repository string
		want       string
	}{
		{"nothing", nil, "", "--repository: missing: name the directory of the backups\n--database: missing: name at least one database"},
		{"no name", []string{"/srv/shop.duckdb"}, "/b", "--database /srv/shop.duckdb: NAME=PATH is wanted, such as shop=/var/lib/shop/shop.duckdb"},
		{"no path", []string{"shop="}, "/b", "--database shop=: NAME=PATH is wanted, such as shop=/var/lib/shop/shop.duckdb"},
		{"bad name", []string{"Sh=/s"}, "/b", `--database Sh=/s: "Sh" is not a name: lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit, at most 64`},
		{"one name twice", []string{"a=/s", "a=/t"}, "/b", `--database a=/t: "a" is the name of databases[0] already`},
		{"one file twice", []string{"a=/s", "b=/s"}, "/b", "--database b=/s: /s is the file of databases[0] already"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			_, err := FromFlags(tt.databases, tt.repository, "")
			require.EqualError(t, err, tt.want)
			assert.Same(t, failure.Usage, failure.Of(err))
		})
	}

	t.Run("repository that is the database", func(t *testing.T) {
		_, err := FromFlags([]string{"a=/s"}, "/s", "")
		require.EqualError(t, err, "--database a=/s: the repository /s is the database file itself")
		assert.Same(t, failure.RepoOverlap, failure.Of(err))
	})
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "4096": 4096, "-1": -1, "64KB": 64_000, "64kib": 65_536, "16 MiB": 16 << 20, "1.5GB": 1_500_000_000, "1TiB": 1 << 40, "7B": 7,
		"9223372036854775807": 9223372036854775807,
	} {
		var b Bytes
		if assert.NoError(t, b.Set(text), text) {
			assert.Equal(t, want, b, text)
			var again Bytes
			require.NoError(t, again.Set(b.String()))
			assert.Equal(t, b, again, "String is read back")
		}
	}
	for _, text := range []string{"", "KB", "B", "x", "1XB", "1e3", "0x10", "1..2", "NaN", "Inf", "9223372036854775807KB", "99999999999999999999"} {
		var b Bytes
		assert.Error(t, b.Set(text), text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fullFile))
	f.Add([]byte(head))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("databases: [null, {copy: null}, {copy: {bandwidth: &x 1KB, settle: *x}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, at, faults := parse(data)
		c.checkZeros(at)
		c.absolute("/etc")
		c.fillIn()
		faults = append(faults, c.check()...)
		err := report("f", faults, at)
		if err == nil {
			require.NoError(t, c.Validate(), "what Load accepts is valid")
			return
		}
		for line := range strings.Lines(err.Error()) {
			require.True(t, strings.HasPrefix(line, "f:"), "one fault a line: %q", err)
		}
	})
}
