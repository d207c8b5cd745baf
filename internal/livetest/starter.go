package livetest

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Backup is what the starter prints of one backup.
type Backup struct {
	ID       string  `json:"id"`
	Database string  `json:"database"`
	State    string  `json:"state"`
	Rule     string  `json:"rule"`
	Attempts int     `json:"attempts"`
	Bytes    int64   `json:"bytes"`
	Copy     float64 `json:"copy_seconds"`
	Files    []struct {
		Name   string `json:"name"`
		Bytes  int64  `json:"bytes"`
		SHA256 string `json:"sha256"`
	} `json:"files"`
	Tables []struct {
		Name string `json:"name"`
		Rows int64  `json:"rows"`
	} `json:"tables"`
}

// commandTimeout bounds one command of the starter.
const commandTimeout = 5 * time.Minute

// Starter runs the starter program with --json and decodes the document that
// it prints into result. The test fails where the command does.
func Starter(t testing.TB, program string, result any, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--json")...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	require.NoErrorf(t, cmd.Run(), "starter %v\nstdout: %s\nstderr: %s", args, &out, &errOut)
	require.NoErrorf(t, json.Unmarshal(out.Bytes(), result), "starter %v printed %s", args, &out)
}
