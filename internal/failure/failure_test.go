package failure

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEveryKindIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Kinds {
		assert.NotEmpty(t, k.Name)
		assert.False(t, names[k.Name], "%s is there twice", k.Name)
		names[k.Name] = true
		assert.NotZero(t, k.Exit, "%s: a failure cannot exit with 0", k.Name)
		assert.True(t, k.Hint != "" || k == Unexpected, "%s has no hint", k.Name)
	}
}

func TestOf(t *testing.T) {
	base := errors.New("base")
	err := fmt.Errorf("outer: %w", Errorf(RepoFull, "inner: %w", base))
	assert.Equal(t, RepoFull, Of(err))
	assert.ErrorIs(t, err, base)
	assert.Equal(t, "outer: inner: base", err.Error())
	assert.Equal(t, Unexpected, Of(base))
	assert.Equal(t, Busy, Of(Errorf(Busy, "a kind on top: %w", err)))
}

func TestFinal(t *testing.T) {
	assert.Contains(t, Final(), BackupBad.Name)
	assert.NotContains(t, Final(), Moving.Name)
}
