package repo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func fullManifest() *Manifest {
	m := manifestOf("run-1", start, StateVerified)
	m.Source = Source{Path: "/data/shop.duckdb", Device: 1, Inode: 2, Bytes: 3, Iteration: 42, StorageVersion: 64, Library: "v1.4.1", BlockBytes: 262144, Blocks: 5, FreeBlocks: 1, OwnerPID: 7, OwnerExe: "/usr/bin/service"}
	m.Acceptance = Acceptance{Rule: "A", Attempts: 2, Seconds: 1.5, WALBytes: 100, Commits: 3, BytesRead: 9, BytesResumed: 1, Evidence: map[string]string{"wal": "grew"}}
	m.Verification = &Verification{
		Level: "full", Engine: "v1.5.6", At: start.Add(time.Hour), Seconds: 2, Blocks: 4, ReadWrite: true,
		Tables:     []Table{{Name: "main.orders", Rows: 3, Fingerprint: "0123"}},
		Assertions: []Assertion{{Name: "some", Got: "1", Want: "1", Passed: true}}, Reason: "all well",
	}
	m.Failure = "none"
	return m
}

func TestManifestRoundTrip(t *testing.T) {
	m := fullManifest()
	data, err := Encode(m)
	require.NoError(t, err)
	got, err := Decode(data)
	require.NoError(t, err)
	assert.Equal(t, m, got)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, data))
	got, err = Decode(compact.Bytes())
	require.NoError(t, err, "white space means nothing")
	assert.Equal(t, m, got)
}

func TestDecodeRefuses(t *testing.T) {
	good := string(must(Encode(fullManifest())))
	sum := fullManifest().Files[0].SHA256
	tests := []struct{ name, old, new, want string }{
		{"newer schema with fields of its own", `"schema": 1`, `"schema": 2, "novelty": 1`, "manifest has schema version 2, this program reads 1"},
		{"no schema", `"schema": 1,`, ``, "manifest has no schema version"},
		{"unknown field", `"tool":`, `"novelty": 1, "tool":`, `manifest: json: unknown field "novelty"`},
		{"unknown field below", `"rule":`, `"novelty": 1, "rule":`, `manifest: json: unknown field "novelty"`},
		{"unknown state", `"verified"`, `"great"`, `manifest: state "great" is unknown`},
		{"ID that escapes", fullManifest().ID, "../x", `manifest: id "../x" is no backup ID`},
		{"database that escapes", `"database": "shop"`, `"database": ".."`, `manifest: database ".." is no database name`},
		{"file that escapes", `"shop.duckdb"`, `"../shop.duckdb"`, `manifest: file name "../shop.duckdb" is not a plain one`},
		{"file named as the manifest", `"shop.duckdb"`, `"manifest.json"`, `manifest: file name "manifest.json" is not a plain one`},
		{"hidden file", `"shop.duckdb"`, `".lock"`, `manifest: file name ".lock" is not a plain one`},
		{"one file twice", `"shop.duckdb.wal"`, `"shop.duckdb"`, `manifest: file "shop.duckdb" is listed twice`},
		{"negative size", `"bytes": 17`, `"bytes": -1`, ""},
		{"sum too short", sum, sum[1:], `manifest: file "shop.duckdb": sha256 "` + sum[1:] + `" is not 64 hex digits`},
		{"no run", `"run": "run-1"`, `"run": ""`, "manifest: run is empty"},
		{"number as text", `"schema": 1`, `"schema": "1"`, ""},
		{"not UTF-8", "canvasback test", "canvasback \xff", "manifest is not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, good, tt.old)
			_, err := Decode([]byte(strings.Replace(good, tt.old, tt.new, 1)))
			require.Error(t, err)
			if tt.want != "" {
				assert.Equal(t, tt.want, err.Error())
			}
		})
	}
	for _, tail := range []string{"x", "{}", "}", "\x00"} {
		_, err := Decode([]byte(good + tail))
		require.Error(t, err, "%q behind the manifest", tail)
	}
	_, err := Decode([]byte(good + strings.Repeat(" ", maxManifestBytes)))
	require.ErrorContains(t, err, "larger than")
	m := fullManifest()
	m.Files = nil
	_, err = Encode(m)
	require.ErrorContains(t, err, "no files")
}

func TestDecodeTruncated(t *testing.T) {
	good := bytes.TrimSpace(must(Encode(fullManifest())))
	for n := range good {
		_, err := Decode(good[:n])
		require.Error(t, err, "the first %d of %d bytes", n, len(good))
	}
}

// TestDecodeFlipped: a flipped bit is refused, or yields a manifest that is
// sound and says what the bytes say.
func TestDecodeFlipped(t *testing.T) {
	good := must(Encode(fullManifest()))
	refused := 0
	for i := range good {
		for bit := range 8 {
			data := bytes.Clone(good)
			data[i] ^= 1 << bit
			m, err := Decode(data)
			if err != nil {
				refused++
				continue
			}
			checkAccepted(t, m)
		}
	}
	assert.Greater(t, refused, len(good)*2)
}

func checkAccepted(t testing.TB, m *Manifest) {
	t.Helper()
	data, err := Encode(m)
	require.NoError(t, err)
	again, err := Decode(data)
	require.NoError(t, err)
	twice, err := Encode(again)
	require.NoError(t, err)
	require.Equal(t, string(data), string(twice))
	require.True(t, ValidID(m.ID) && ValidName(m.Database))
	for _, f := range m.Files {
		require.True(t, plainFileName(f.Name))
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(must(Encode(fullManifest())))
	f.Add(must(Encode(manifestOf("run-2", start, StateFailed))))
	f.Add([]byte(`{"schema":1,"schema":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			if m != nil {
				t.Fatal("an error and a manifest")
			}
			return
		}
		checkAccepted(t, m)
	})
}
