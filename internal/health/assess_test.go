package health

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"canvasback/internal/job"
)

func TestKindsAreAllChecked(t *testing.T) {
	for _, c := range checks {
		assert.Contains(t, Kinds, c.kind)
	}
}

func TestAgeCountsFromTheStart(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	d := Database{Name: "shop", Backups: &job.PulseDatabase{MaxAge: time.Hour, Newest: &job.PulseBackup{Started: now.Add(-time.Hour), Finished: now}}}
	assert.Empty(t, Assess(d, now))
	found := Assess(d, now.Add(time.Second))
	if assert.Len(t, found, 1) {
		assert.Equal(t, TooOld, found[0].Kind)
		assert.True(t, found[0].Missed)
	}
}
