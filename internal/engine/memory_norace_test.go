//go:build !race

package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
)

// The race detector says something else of an address space that is too small.
func TestChild_without_memory_in_Go(t *testing.T) {
	err := engine.RunTest(context.Background(), "go memory", "/data/shop.duckdb", time.Minute)
	require.ErrorIs(t, err, engine.ErrMemory)
	assert.ErrorContains(t, err, "out of memory")
}
