package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
)

// TestSettle is the table of what becomes of a manifest: for each state and the
// level that was asked for then, and each outcome at each level, the state
// after. "=" is a manifest that stays as it is; "!" after it, that a pass is
// refused. assert- is at level assert, with an assertion that did not hold then.
func TestSettle(t *testing.T) {
	outcomes := []string{
		"pass bytes", "pass open", "pass full", "pass assert",
		"structure bytes", "structure full", "bad bytes", "bad full", "undecided full", "accident full",
	}
	table := map[string][]string{
		"copied":           {"verified", "verified", "verified", "verified", "structure", "structure", "failed", "failed", "copied", "="},
		"verified bytes":   {"verified", "verified", "verified", "verified", "structure", "structure", "failed", "failed", "=", "="},
		"verified open":    {"=", "verified", "verified", "verified", "=", "=", "failed", "failed", "=", "="},
		"verified full":    {"=", "=", "verified", "verified", "=", "=", "failed", "failed", "=", "="},
		"verified assert":  {"=", "=", "verified", "verified", "=", "=", "failed", "failed", "=", "="},
		"structure bytes":  {"verified", "verified", "verified", "verified", "structure", "structure", "failed", "failed", "=", "="},
		"structure full":   {"=", "=", "verified", "verified", "=", "structure", "failed", "failed", "=", "="},
		"failed bytes":     {"verified", "verified", "verified", "verified", "=!", "=!", "failed", "failed", "=", "="},
		"failed open":      {"=!", "verified", "verified", "verified", "=!", "=!", "=", "failed", "=", "="},
		"failed full":      {"=!", "=!", "verified", "verified", "=!", "=!", "=", "failed", "=", "="},
		"failed assert":    {"=!", "=!", "verified", "verified", "=!", "=!", "=", "failed", "=", "="},
		"failed assert-":   {"=!", "=!", "=!", "verified", "=!", "=!", "=", "failed", "=", "="},
		"rotten full":      {"=", "=", "verified", "verified", "structure", "structure", "failed", "failed", "=", "="},
		"rotten assert":    {"=", "=", "verified", "verified", "structure", "structure", "failed", "failed", "=", "="},
		"failed (unasked)": {"=!", "=!", "verified", "verified", "=!", "=!", "=", "failed", "=", "="},
	}
	for before, row := range table {
		require.Len(t, row, len(outcomes), before)
		for i, want := range row {
			t.Run(before+", "+outcomes[i], func(t *testing.T) {
				m, old := settleManifest(before), settleManifest(before)
				v, verdict := settleOutcome(outcomes[i])
				changes, err := settle(m, v, verdict)
				switch {
				case want == "=" || want == "=!":
					assert.False(t, changes)
					assert.Equal(t, old, m)
				default:
					assert.True(t, changes)
					assert.Equal(t, want, string(m.State))
					assert.Equal(t, v.Asked, m.Verification.Asked)
					assert.Equal(t, v.Level, m.Verification.Level)
				}
				passes := verdict == nil || errors.Is(verdict, verify.ErrStructure)
				switch {
				case want == "=!":
					assert.Equal(t, failure.BackupBad, failure.Of(err))
				case passes:
					require.NoError(t, err)
				default:
					require.ErrorIs(t, err, verdict)
				}
				assert.Equal(t, m.State == repo.StateFailed, m.Failure != "")
			})
		}
	}
}

// settleManifest makes one of a state and the level that was asked for.
func settleManifest(text string) *repo.Manifest {
	m := &repo.Manifest{ID: "b"}
	var state, level string
	_, _ = fmt.Sscan(text, &state, &level)
	m.State = repo.State(state)
	if m.State == repo.StateFailed {
		m.Failure = "why"
	}
	if level == "" {
		return m
	}
	m.Verification = &repo.Verification{Level: level, Asked: level}
	switch level {
	case "(unasked)":
		m.Verification.Level, m.Verification.Asked = verify.LevelFull, ""
	case "assert", "assert-":
		m.Verification.Level, m.Verification.Asked = verify.LevelAssert, verify.LevelAssert
		m.Verification.Assertions = []repo.Assertion{{Name: "a", Passed: level == "assert"}}
	}
	if m.State == repo.StateFailed || m.State == repo.StateStructure {
		m.Verification.Level = verify.LevelBytes // how far it came
	}
	return m
}

func settleOutcome(text string) (*repo.Verification, error) {
	var outcome, level string
	_, _ = fmt.Sscan(text, &outcome, &level)
	v := &repo.Verification{Level: verify.LevelBytes, Asked: level}
	switch outcome {
	case "pass":
		v.Level = level
		if level == verify.LevelAssert {
			v.Assertions = []repo.Assertion{{Name: "a", Passed: true}}
		}
		return v, nil
	case "structure":
		return v, fmt.Errorf("%w: too new", verify.ErrStructure)
	case "bad":
		return v, failure.Errorf(failure.BackupBad, "bad")
	case "undecided":
		return v, failure.Errorf(failure.VerifyTimeout, "late")
	default:
		return nil, failure.Errorf(failure.Engine, "accident")
	}
}

// TestSettleKeepsAssertions: those that were not asked again stay on record, but
// for those of a backup of which nothing was decided.
func TestSettleKeepsAssertions(t *testing.T) {
	late := []repo.Assertion{{Name: "a", Got: "error: no result after 1s"}}
	for state, want := range map[repo.State][]repo.Assertion{repo.StateCopied: nil, repo.StateVerified: late} {
		m := &repo.Manifest{State: state, Verification: &repo.Verification{Level: "assert", Asked: "assert", Assertions: late}}
		v, _ := settleOutcome("pass full")
		changes, err := settle(m, v, nil)
		require.NoError(t, err)
		assert.True(t, changes)
		assert.Equal(t, want, m.Verification.Assertions)
		assert.Empty(t, v.Assertions)
	}
}
