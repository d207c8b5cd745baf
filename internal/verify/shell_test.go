package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/livetest"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
)

// The evidence of the operator's engine is that of the linked one, in place and
// on a scratch copy.
func TestRun_with_the_operators_engine(t *testing.T) {
	command := []string{livetest.Build(t, "internal/livetest/owners/duckdb14"), "shell"}
	for _, killed := range [][]string{nil, {"CREATE INDEX by_id ON orders(id)", "INSERT INTO orders VALUES (-1, 'late')"}} {
		b := newBackup(t, killed...)
		req := b.request(t)
		req.Assertions = []engine.Assertion{{Name: "orders", SQL: "SELECT count(*) >= 200000 FROM orders", Expect: "true", Timeout: time.Minute}}
		want, err := run(t, context.Background(), b, req)
		require.NoError(t, err)
		req.Command = command
		v, err := run(t, context.Background(), b, req)
		require.NoError(t, err)
		assert.Equal(t, "assert", v.Level)
		assert.Equal(t, "v1.4.1 ("+command[0]+")", v.Engine)
		assert.Equal(t, want.Tables, v.Tables)
		assert.Equal(t, want.Assertions, v.Assertions)
		assert.Equal(t, want.ReadWrite, v.ReadWrite)

		req.Assertions[0].Expect = "false"
		v, err = run(t, context.Background(), b, req)
		requireBad(t, v, err, `assertion "orders": got "true", want "false"`)
	}

	b := newBackup(t)
	req := b.request(t)
	req.Command = []string{filepath.Join(t.TempDir(), "duckdb")}
	v, err := run(t, context.Background(), b, req)
	require.Equal(t, failure.Engine, failure.Of(err), "a program that is not there is an accident")
	assert.Nil(t, v)
}

// An engine that is too old for a file of each storage version: what is needed
// is named, and the newer engine reads it.
func TestRun_names_the_release_that_a_file_needs(t *testing.T) {
	programs := map[string]string{}
	for _, name := range []string{"duckdb11", "duckdb14"} {
		programs[name] = livetest.Build(t, "internal/livetest/owners/"+name)
	}
	tests := []struct{ storage, program, needs string }{
		{"v1.2.0", "duckdb11", "it needs DuckDB 1.2 or newer (storage version 65)"},
		{"v1.3.0", "duckdb11", "it needs DuckDB 1.3 or newer (storage version 66)"},
		{"v1.4.0", "duckdb11", "it needs DuckDB 1.4 or newer (storage version 67)"},
		{"v1.5.0", "duckdb14", "it needs DuckDB 1.5 or newer (storage version 68)"},
	}
	for _, tt := range tests {
		t.Run(tt.storage, func(t *testing.T) {
			dir := t.TempDir()
			b := backup{dir: dir, db: filepath.Join(dir, "shop.duckdb")}
			enginetest.CreateStorage(t, b.db, tt.storage, "CREATE TABLE orders AS SELECT range AS id FROM range(10)")
			req := b.request(t)
			v, err := run(t, context.Background(), b, req)
			require.NoError(t, err)
			assert.Equal(t, []repo.Table{{Name: "main.orders", Rows: 10, Fingerprint: v.Tables[0].Fingerprint}}, v.Tables)
			req.Command = []string{programs[tt.program], "shell"}
			v, err = run(t, context.Background(), b, req)
			require.ErrorIs(t, err, verify.ErrStructure)
			assert.Contains(t, v.Reason, tt.needs)
			assert.Equal(t, "bytes", v.Level)
		})
	}
}

// A shell that crashes on the copy is a verdict, one that finds no memory none,
// and one that is stopped from outside an accident.
func TestRun_operators_engine_that_dies(t *testing.T) {
	shell := livetest.Build(t, "internal/livetest/owners/duckdb15")
	for then, kind := range map[string]*failure.Kind{
		"kill -SEGV $$": failure.BackupBad, "echo hello": failure.BackupBad, "kill -KILL $$": failure.VerifyMemory, "kill -TERM $$": failure.Engine, "sleep 1000": failure.VerifyTimeout,
	} {
		b := newBackup(t)
		req := b.request(t)
		if kind == failure.VerifyTimeout {
			req.Timeout = 5 * time.Second
		}
		program := filepath.Join(t.TempDir(), "duckdb")
		script := "#!/bin/sh\nscript=$(cat)\ncase \"$script\" in *ATTACH*) " + then + " ;; *) printf '%s\\n' \"$script\" | " + shell + " shell \"$@\" ;; esac\n"
		require.NoError(t, os.WriteFile(program, []byte(script), 0o700))
		req.Command = []string{program}
		v, err := run(t, context.Background(), b, req)
		require.Equal(t, kind, failure.Of(err), "%s: %v", then, err)
		if kind == failure.Engine {
			require.Nil(t, v, "an accident, which is tried again")
			continue
		}
		require.NotNil(t, v)
		assert.Equal(t, err.Error(), v.Reason)
	}
}
