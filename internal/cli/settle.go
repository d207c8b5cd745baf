package cli

import (
	"errors"
	"slices"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
)

// settle moves the manifest to what a verification found, and tells whether that
// changes it. The error is what the command ends with: the verdict, unless it is
// one that a backup may live with, or why a pass is none.
//
// The bytes are the same each time, so what was found at a deeper level holds: a
// pass or a failure at a lesser one says nothing new, and an engine that cannot
// open a backup takes nothing away from one that did, and nothing from one that
// found it bad.
func settle(m *repo.Manifest, v *repo.Verification, verdict error) (changes bool, err error) {
	switch {
	case verdict == nil:
		return settlePass(m, v)
	case errors.Is(verdict, verify.ErrStructure):
		return settleStructure(m, v)
	case verify.Undecided(verdict):
		if m.State == repo.StateCopied {
			m.Verification = v // nothing better is known: the reason shows in the list
			return true, verdict
		}
		return false, verdict
	case failure.Of(verdict) != failure.BackupBad:
		return false, verdict // it says nothing about the backup
	case m.State == repo.StateFailed && shallower(v, m):
		return false, verdict
	default:
		record(m, v, repo.StateFailed, verdict.Error())
		return true, verdict
	}
}

func settlePass(m *repo.Manifest, v *repo.Verification) (changes bool, err error) {
	switch {
	case m.State == repo.StateFailed && shallower(v, m):
		return false, failure.Errorf(failure.BackupBad, "backup %s passes at level %s, but it failed at a deeper one: verify it at that: %s", m.ID, v.Level, m.Failure)
	case m.State == repo.StateFailed && failedAssertions(m) && len(v.Assertions) == 0:
		return false, failure.Errorf(failure.BackupBad, "backup %s reads well but failed its assertions, which only --config can ask again: %s", m.ID, m.Failure)
	case m.State != repo.StateCopied && shallower(v, m):
		return false, nil
	}
	record(m, v, repo.StateVerified, "")
	return true, nil
}

func settleStructure(m *repo.Manifest, v *repo.Verification) (changes bool, err error) {
	switch {
	case m.State == repo.StateFailed:
		return false, failure.Errorf(failure.BackupBad, "backup %s failed, and what cannot be opened here cannot take that back: %s", m.ID, m.Failure)
	case m.State == repo.StateVerified && opened(m), m.State == repo.StateStructure && shallower(v, m):
		return false, nil
	}
	record(m, v, repo.StateStructure, "")
	return true, nil
}

// depth orders the levels. Assertions are another question, which
// failedAssertions answers.
var depth = map[string]int{verify.LevelBytes: 1, verify.LevelOpen: 2, verify.LevelFull: 3, verify.LevelAssert: 3}

// shallower tells whether v was asked for at a lower level than the evidence
// that the manifest has; evidence that does not say was asked for in full.
func shallower(v *repo.Verification, m *repo.Manifest) bool {
	before := depth[verify.LevelFull]
	if m.Verification != nil && m.Verification.Asked != "" {
		before = depth[m.Verification.Asked]
	}
	return depth[v.Asked] < before
}

// opened tells whether an engine has opened the backup, as one that was verified
// by its bytes alone was not.
func opened(m *repo.Manifest) bool {
	return m.Verification == nil || m.Verification.Level != verify.LevelBytes
}

func failedAssertions(m *repo.Manifest) bool {
	return m.Verification != nil && slices.ContainsFunc(m.Verification.Assertions, func(a repo.Assertion) bool { return !a.Passed })
}

// record replaces the evidence and the state. Assertions that were not asked
// again stay on record: the bytes they were asked of are the same. Those of a
// backup that is only copied were not decided.
func record(m *repo.Manifest, v *repo.Verification, state repo.State, reason string) {
	found := *v
	if len(v.Assertions) == 0 && m.Verification != nil && m.State != repo.StateCopied {
		found.Assertions = m.Verification.Assertions
	}
	m.Verification, m.State, m.Failure = &found, state, reason
}
