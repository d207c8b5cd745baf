package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

// everyCommand calls f for each command of the tree, with the words that name
// it.
func everyCommand(t *testing.T, f func(t *testing.T, cmd *cobra.Command, words []string)) {
	count := 0
	var walk func(cmd *cobra.Command, words []string)
	walk = func(cmd *cobra.Command, words []string) {
		count++
		t.Run(strings.Join(append([]string{"starter"}, words...), " "), func(t *testing.T) { f(t, cmd, words) })
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" {
				walk(sub, append(words[:len(words):len(words)], sub.Name()))
			}
		}
	}
	walk(newRoot(&app{ctx: t.Context()}), nil)
	require.Greater(t, count, 5, "no commands walked")
}

func TestHelpOfEveryCommand(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, words []string) {
		status, out, errOut := run(t, t.Context(), append(words, "--help")...)
		assert.Equal(t, 0, status)
		assert.Empty(t, errOut)
		assert.Contains(t, out, exitStatus, "the exit statuses are listed")
		assert.Contains(t, out, "--json")
		assert.NotEmpty(t, cmd.Short+cmd.Long)
		if !cmd.HasSubCommands() {
			assert.NotEmpty(t, cmd.Example, "an example is given")
		}
		for line := range strings.Lines(out) {
			assert.NotContains(t, line, "\t")
		}
	})
}

func TestEveryCommandRefusesAnUnknownFlagInJSON(t *testing.T) {
	everyCommand(t, func(t *testing.T, _ *cobra.Command, words []string) {
		status, out, errOut := run(t, t.Context(), append(words, "--no-such-flag", "--json")...)
		assert.Equal(t, failure.ExitUsage, status)
		assert.Equal(t, "canvasback: error: unknown flag: --no-such-flag\ncanvasback: hint: see --help\n", errOut)
		var doc struct{ Error errorDoc }
		require.NoError(t, json.Unmarshal([]byte(out), &doc), out)
		assert.Equal(t, errorDoc{Kind: "Usage", Message: "unknown flag: --no-such-flag", Hint: "see --help"}, doc.Error)
	})
}

func TestFailedCommandStatus(t *testing.T) {
	bad := failure.Errorf(failure.BackupBad, "bad")
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"unknown error", errors.New("x"), failure.ExitFailed},
		{"typed", bad, failure.ExitBad},
		{"typed and wrapped", fmt.Errorf("more: %w", bad), failure.ExitBad},
		{"part of it done", &partial{bad}, failure.ExitPartly},
		{"not found", failure.Errorf(failure.UnknownBackup, "x"), failure.ExitNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &app{ctx: t.Context(), out: &bytes.Buffer{}, errOut: &bytes.Buffer{}}
			assert.Equal(t, tt.want, a.fail(tt.err))
		})
		t.Run(tt.name+", interrupted", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var errOut bytes.Buffer
			a := &app{ctx: ctx, out: &bytes.Buffer{}, errOut: &errOut}
			assert.Equal(t, failure.ExitInterrupted, a.fail(tt.err))
			assert.Contains(t, errOut.String(), "canvasback: error: interrupted: ")
		})
	}
}

func TestFailureOfSeveralLinesKeepsOneDocument(t *testing.T) {
	var out, errOut bytes.Buffer
	a := &app{ctx: t.Context(), out: &out, errOut: &errOut, json: true}
	a.fail(failure.Errorf(failure.InvalidConfig, "one\ntwo"))
	assert.Equal(t, "canvasback: error: one\ncanvasback: error: two\ncanvasback: hint: mend the configuration file and start again\n", errOut.String())
	var doc struct{ Error errorDoc }
	require.NoError(t, json.Unmarshal(out.Bytes(), &doc))
	assert.Equal(t, "one\ntwo", doc.Error.Message)
}

func TestResultIsPrintedOnce(t *testing.T) {
	var out bytes.Buffer
	a := &app{ctx: t.Context(), out: &out, errOut: &bytes.Buffer{}, json: true}
	require.NoError(t, a.result(1, nil))
	require.Error(t, a.result(2, nil))
	assert.Equal(t, failure.ExitPartly, a.fail(&partial{errors.New("x")}))
	assert.Equal(t, "1\n", out.String(), "a failure after the result adds no second document")
}
