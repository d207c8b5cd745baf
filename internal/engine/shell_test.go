package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

// fakeShell is a program that answers the questions that come before the
// database with a real shell, and does as the shell script says then.
func fakeShell(t *testing.T, then string) []string {
	t.Helper()
	shell := versionShell(t, "duckdb15")
	path := filepath.Join(t.TempDir(), "duckdb")
	script := "#!/bin/sh\nscript=$(cat)\ncase \"$script\" in\n*ATTACH*)\n" + then + "\n;;\n*) printf '%s\\n' \"$script\" | " + strings.Join(shell, " ") + " \"$@\" ;;\nesac\n"
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return []string{path}
}

// extraMarks is a shell that answers what it is asked, and, where it is asked of
// tables, more than that.
func extraMarks(t *testing.T) string {
	return `printf '%s\n' "$script" | ` + strings.Join(versionShell(t, "duckdb15"), " ") + ` "$@"
case "$script" in *count*)
	mark=$(printf '%s\n' "$script" | sed -n "s/.*SELECT '\([A-Z0-9]*\)' AS mark, 0 AS n.*/\1/p")
	for n in 2 3 4; do echo "[{\"a\":\"1\"}]"; echo "[{\"mark\":\"$mark\",\"n\":$n}]"; done ;;
esac`
}

func TestShell_verdicts(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	tests := []struct {
		name, then string
		want       error
		text       string
	}{
		{"crashes", "kill -SEGV $$", engine.ErrCrashed, "segmentation fault"},
		{"crashes below a command shell", "sh -c 'kill -SEGV $$'; exit $?", engine.ErrCrashed, "exit status 139"},
		{"is killed by somebody else", "kill -KILL $$", engine.ErrMemory, "signal: killed"},
		{"is killed below a command shell", "exit 137", engine.ErrMemory, "exit status 137"},
		{"is stopped with its service", "kill -TERM $$; sleep 1000", engine.ErrEnded, "signal: terminated"},
		{"is stopped below a command shell", "exit 143", engine.ErrEnded, "exit status 143"},
		{"exits with a number that is no signal", "exit 255", engine.ErrCrashed, "exit status 255"},
		{"aborts without memory", `echo "terminate called after throwing an instance of 'std::bad_alloc'" >&2; kill -ABRT $$`, engine.ErrMemory, "bad_alloc"},
		{"says that it has no memory", `echo "Error: near line 3: Out of Memory Error: could not allocate block" >&2; exit 1`, engine.ErrMemory, "could not allocate"},
		{"prints garbage", "echo Segmentation fault", engine.ErrCrashed, "invalid character"},
		{"prints garbage and hangs", "echo '}'; sleep 1000", engine.ErrCrashed, "what the shell wrote"},
		{"prints half of an answer", `printf '[{"a":'`, engine.ErrCrashed, "unexpected EOF"},
		{"prints values that no query asked for", `echo '[{"a":[1]}]'`, engine.ErrCrashed, "no scalar"},
		{"says nothing", "exit 0", engine.ErrCrashed, "it ended without an answer"},
		{"fails without a word", "exit 3", engine.ErrCrashed, "exit status 3"},
		{"answers nothing and leaves a process behind", "sleep 1000 & exit 0", engine.ErrCrashed, "it ended without an answer"},
		{"floods stdout", "yes '[{\"a\":\"" + strings.Repeat("x", 1000) + "\"}]' | head -c 80000000", engine.ErrCrashed, "more than"},
		{"floods stderr", "yes oh no | head -c 10000000 >&2; exit 1", engine.ErrCrashed, "bytes left out"},
		{"rejects the file", `echo "IO Error: Corrupt database file: computed checksum 1 does not match" >&2; exit 1`, engine.ErrRejected, "computed checksum"},
		{"says that something failed and ends well", `echo "Invalid Input Error:" >&2; echo "Corrupt" >&2; exit 0`, engine.ErrRejected, "Corrupt"},
		{"answers queries that nobody asked", extraMarks(t), engine.ErrCrashed, "result 2 of 1 queries"},
		{"floods stdout without a line", "head -c 80000000 /dev/zero | tr '\\0' x", engine.ErrCrashed, "what the shell wrote"},
		{"floods stdout with rows", `echo '['; yes '{"a":1},' | head -c 80000000`, engine.ErrCrashed, "a result of more than 2097152 rows"},
		{"drops an answer", `printf '%s\n' "$script" | ` + strings.Join(versionShell(t, "duckdb15"), " ") + ` "$@" | sed '/"CAST(count/d'`, engine.ErrCrashed, "did not answer with one row"},
		{"is too old", `echo "Error: near line 9: IO Error: Trying to read a database file with version number 69, but we can only read versions between 64 and 68." >&2; exit 1`, engine.ErrTooNew, "version number 69"},
		{"lacks an extension", `echo "Missing Extension Error: unknown index type 'HNSW'" >&2; exit 1`, engine.ErrMissing, "HNSW"},
		{"finds the disk full", `echo "IO Error: Could not write: No space left on device" >&2; exit 1`, engine.ErrResources, "No space left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := request(t, path)
			req.Command = fakeShell(t, tt.then)
			_, err := engine.Scan(context.Background(), req)
			require.ErrorIs(t, err, tt.want)
			assert.ErrorContains(t, err, tt.text)
			assert.ErrorContains(t, err, path)
			assert.Less(t, len(err.Error()), 10<<10)
		})
	}
}

// What is wrong with the program itself is no verdict on a database.
func TestShell_program_that_is_none(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT 1 AS i")
	script := filepath.Join(t.TempDir(), "duckdb")
	for name, tt := range map[string]struct{ script, text string }{
		"not there":                    {"", "no such file"},
		"crashes":                      {"kill -SEGV $$", "is no DuckDB command-line shell that can be used"},
		"prints garbage":               {"cat >/dev/null; echo hello", "is no DuckDB command-line shell that can be used"},
		"another program":              {"exec cat", "is no DuckDB command-line shell that can be used"},
		"says too much of its version": {"script=$(cat); " + strings.Join(versionShell(t, "duckdb15"), " ") + " \"$@\" <<END | sed \"s/v1[.][0-9.]*/$(head -c 200 /dev/zero | tr '\\0' 1)/\"\n$script\nEND", "does not say its version"},
		"does not know us":             {"echo 'Error: unknown option: -json' >&2; exit 1", "unknown option"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(script)
			if tt.script != "" {
				require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700))
			}
			req := request(t, path)
			req.Command = []string{script}
			_, err := engine.Scan(context.Background(), req)
			require.ErrorContains(t, err, tt.text)
			for _, verdict := range []error{engine.ErrRejected, engine.ErrCrashed, engine.ErrTooNew, engine.ErrMissing, engine.ErrMemory, engine.ErrTimeout} {
				assert.NotErrorIs(t, err, verdict)
			}
		})
	}
}

// A shell that hangs is killed with what it started.
func TestShell_hangs_is_killed_with_its_children(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT 1 AS i")
	tests := []struct {
		name string
		end  func(*engine.ScanRequest, context.CancelCauseFunc)
		want error
	}{
		{"time limit", func(r *engine.ScanRequest, _ context.CancelCauseFunc) { r.Timeout = 8 * time.Second }, engine.ErrTimeout},
		{"cancelled", func(_ *engine.ScanRequest, cancel context.CancelCauseFunc) { cancel(errStops) }, errStops},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			req := request(t, path)
			req.Command = fakeShell(t, "sleep 1000 & echo -n $! > "+pidFile+".new; mv "+pidFile+".new "+pidFile+"; wait")
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if tt.want == engine.ErrTimeout {
				tt.end(&req, cancel)
			}
			result := make(chan error, 1)
			go func() {
				_, err := engine.Scan(ctx, req)
				result <- err
			}()
			pid := waitPID(t, pidFile)
			require.True(t, running(pid))
			if tt.want == errStops {
				tt.end(&req, cancel)
			}
			err := <-result
			require.ErrorIs(t, err, tt.want)
			require.Eventually(t, func() bool { return !running(pid) }, 30*time.Second, 5*time.Millisecond)
			left, err := os.ReadDir(req.TempDir)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

var errStops = errors.New("the worker stops")

func TestShell_environment_holds_nothing_of_the_parents(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "hunter2")
	out := filepath.Join(t.TempDir(), "env")
	req := request(t, database(t, "CREATE TABLE a AS SELECT 1 AS i"))
	req.Command = fakeShell(t, "env > "+out+"; echo \"$@\" >> "+out+"; cat /proc/$$/cmdline >> "+out+"; exit 3")
	_, err := engine.Scan(context.Background(), req)
	require.ErrorIs(t, err, engine.ErrCrashed)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.NotContains(t, string(got), "hunter2")
	assert.Contains(t, string(got), "TZ=UTC")
	assert.Contains(t, string(got), "-batch -bail -init /dev/null -json")
	assert.NotContains(t, string(got), "HOME="+os.Getenv("HOME")+"\n")
}

func TestShell_scan(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)", `CREATE SCHEMA "s;.x"`, `CREATE TABLE "s;.x"."t';
.exit 7" AS SELECT 'x' AS "c;
.y"`, "CREATE TABLE empty(i INTEGER)")
	enginetest.CreateKilled(t, path, "INSERT INTO a SELECT range FROM range(5)")
	want := scan(t, path)
	require.Len(t, want, 3)
	for name, version := range shellVersions {
		t.Run(version, func(t *testing.T) {
			for _, writable := range []bool{false, true} {
				own := copied(t, path)
				before := files(t, own)
				req := request(t, own)
				req.Command, req.ReadWrite = versionShell(t, name), writable
				var progress []int
				req.Progress = func(done, total int) { progress = append(progress, done, total) }
				req.Assertions = []engine.Assertion{{Name: "rows", SQL: "SELECT count(*) FROM a", Expect: "15", Timeout: time.Minute}}
				report, err := engine.Scan(context.Background(), req)
				require.NoError(t, err)
				assert.Equal(t, version+" ("+req.Command[0]+")", report.Engine)
				for _, table := range report.Tables {
					assert.Equal(t, want[table.Name], table)
				}
				assert.Len(t, report.Tables, 3)
				assert.Equal(t, []engine.AssertionResult{{Name: "rows", Got: "15", Passed: true}}, report.Assertions)
				assert.Equal(t, []int{0, 3, 1, 3, 2, 3, 3, 3}, progress)
				if writable {
					assert.NoFileExists(t, own+".wal", "the WAL was folded")
				} else {
					assert.Equal(t, before, files(t, own), "a read-only scan changes no file")
				}
				req.Level = engine.LevelOpen
				report, err = engine.Scan(context.Background(), req)
				require.NoError(t, err)
				assert.Equal(t, engine.Table{Name: "main.a", Rows: 15}, report.Tables[0])
			}
		})
	}
}

// DuckDB 1.1 does not describe such a table.
func TestShell_that_cannot_be_asked_of_a_table(t *testing.T) {
	path := database(t, `CREATE TABLE "a""b'c"(i INTEGER)`, "CREATE TABLE b(i INTEGER)")
	req := request(t, path)
	req.Command = versionShell(t, "duckdb11")
	report, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	require.Len(t, report.Missing, 1)
	assert.Contains(t, report.Missing[0], "Parser Error")
	assert.Len(t, report.Tables, 1)
	req.Command = versionShell(t, "duckdb14")
	report, err = engine.Scan(context.Background(), req)
	require.NoError(t, err)
	assert.Empty(t, report.Missing)
	assert.Len(t, report.Tables, 2)
}

func TestShell_limits_hold(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(1000000)")
	req := request(t, path)
	req.Command = versionShell(t, "duckdb14")
	req.MemoryLimit = "1KB"
	_, err := engine.Scan(context.Background(), req)
	require.ErrorIs(t, err, engine.ErrMemory)
	req.MemoryLimit, req.Timeout = "500MB", time.Millisecond
	_, err = engine.Scan(context.Background(), req)
	require.ErrorIs(t, err, engine.ErrTimeout)
	assert.ErrorContains(t, err, "killed after 1ms")
}

func TestShell_encrypted(t *testing.T) {
	const key = "it's a; \"secret\" key of some length"
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.CreateEncrypted(t, path, key, "GCM", "CREATE TABLE a AS SELECT range AS i FROM range(10)", "CHECKPOINT")
	req := request(t, path)
	req.Key = key
	want, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	req.Command = versionShell(t, "duckdb15")
	report, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	assert.Equal(t, want.Tables, report.Tables)

	for _, tt := range []struct {
		command []string
		want    error
	}{
		{versionShell(t, "duckdb11"), engine.ErrTooNew},
		{versionShell(t, "duckdb14"), engine.ErrTooNew}, // of an encryption of 1.5
		{fakeShell(t, `printf '%s\n' "Parser Error: $script" >&2; exit 1`), engine.ErrMissing},
		{fakeShell(t, `printf '%s\n' "$script" "$script" "$script" "$script" "$script" "$script" "$script" "$script" >&2; kill -SEGV $$`), engine.ErrCrashed},
	} {
		req.Command = tt.command
		_, err = engine.Scan(context.Background(), req)
		require.ErrorIs(t, err, tt.want)
		for part := 0; part+8 <= len(key); part++ {
			require.NotContains(t, err.Error(), key[part:part+8])
		}
	}
}

// Nothing of the operator's SQL or of the file is taken for the script's own.
func TestShell_assertions(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	mine := filepath.Join(t.TempDir(), "mine.csv")
	require.NoError(t, os.WriteFile(mine, []byte("x\n1\n"), 0o600))
	made := filepath.Join(t.TempDir(), "made")
	tests := []struct {
		name, sql, expect string
		want              engine.AssertionResult
	}{
		{"met", "SELECT count(*) FROM a", "10", engine.AssertionResult{Got: "10", Passed: true}},
		{"met over lines", "SELECT -- what it's about;\n'a\\b''\r\n' || count(*)\n\nFROM a;\n", "a\\b'\r\n10", engine.AssertionResult{Got: "a\\b'\r\n10", Passed: true}},
		{"NULL", "SELECT NULL", "NULL", engine.AssertionResult{Got: "NULL", Passed: true}},
		{"the word null", "SELECT ''", "", engine.AssertionResult{Passed: true}},
		{"not met", "SELECT count(*) FROM a", "11", engine.AssertionResult{Got: "10"}},
		{"no row", "SELECT i FROM a WHERE i > 99", "", engine.AssertionResult{Error: "the query returned no row"}},
		{"rows", "SELECT i FROM a", "0", engine.AssertionResult{Error: "the query returned more than one row"}},
		{"columns of one name", "SELECT 1 AS a, 2 AS a", "1", engine.AssertionResult{Error: "the query returned 2 columns"}},
		{"endless", "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1", "0",
			engine.AssertionResult{Error: "no result after 2s", Undecided: engine.UndecidedTime}},
	}
	refused := []string{
		"SELECT * FROM nothing", "DELETE FROM a RETURNING 1", "DROP TABLE a", "SELECT 1) ; DROP TABLE a; SELECT (1", "SELECT 1; SELECT 1",
		"SELECT 1;\n.shell touch " + made, "'); COPY a TO '" + made + "'; --", `\'); COPY a TO '` + made + `'; --`,
		"SELECT count(*) FROM read_csv('" + mine + "')", "SELECT count(*) FROM '" + mine + "'", "COPY a TO '" + made + "'",
		"ATTACH '" + made + "'", "INSTALL spatial", "LOAD spatial", "SET enable_external_access = true", "SET threads = 1",
	}
	for name, version := range shellVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			req := request(t, path)
			req.Command, req.Timeout = versionShell(t, name), 5*time.Minute
			for _, tt := range tests {
				limit := time.Minute
				if tt.want.Undecided != "" {
					limit = 2 * time.Second
				}
				req.Assertions = append(req.Assertions, engine.Assertion{Name: tt.name, SQL: tt.sql, Expect: tt.expect, Timeout: limit})
			}
			for i, sql := range refused {
				req.Assertions = append(req.Assertions, engine.Assertion{Name: strconv.Itoa(i), SQL: sql, Expect: "1", Timeout: time.Minute})
			}
			report, err := engine.Scan(context.Background(), req)
			require.NoError(t, err)
			require.Len(t, report.Assertions, len(req.Assertions))
			for i, got := range report.Assertions {
				if i < len(tests) {
					want := tests[i].want
					want.Name = tests[i].name
					assert.Equal(t, want, got)
					continue
				}
				assert.False(t, got.Passed, req.Assertions[i].SQL)
				assert.NotEmpty(t, got.Error, req.Assertions[i].SQL)
			}
			assert.NoFileExists(t, made)
		})
	}
	assert.Equal(t, int64(10), scan(t, path)["main.a"].Rows)
}

func TestShell_missing_extension(t *testing.T) {
	path := database(t, "CREATE TABLE a(j JSON)", "INSERT INTO a VALUES ('{}')", "CREATE TABLE b AS SELECT range AS i FROM range(10)", "CREATE INDEX by_i ON b(i)")
	patch(t, path, "JSON", "INET")
	patch(t, path, "\x03ART", "\x03HNS")
	for name, version := range shellVersions {
		req := request(t, path)
		req.Command = versionShell(t, name)
		report, err := engine.Scan(context.Background(), req)
		require.NoError(t, err, version)
		require.Len(t, report.Missing, 2, "%s: %v", version, report.Missing)
		assert.Contains(t, fmt.Sprint(report.Missing), "the type INET")
		assert.Contains(t, fmt.Sprint(report.Missing), "indexes of type HNS")
		assert.Len(t, report.Tables, 1)
	}
}
