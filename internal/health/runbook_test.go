package health

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryKindHasARunbook holds the first table of the runbooks to the kinds.
func TestEveryKindHasARunbook(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbooks.md")
	require.NoError(t, err)
	for _, kind := range Kinds {
		assert.Contains(t, string(text), "`"+kind+"`", "the runbooks do not say where to look when status shows it")
	}
}
