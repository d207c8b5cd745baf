package hook

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommandReadsItsInput(t *testing.T) {
	out, err := CommandOn(context.Background(), []string{"/bin/cat"}, nil, []byte("an event"))
	require.NoError(t, err)
	assert.Equal(t, "an event", string(out))
	out, err = Command(context.Background(), []string{"/bin/cat"}, nil)
	require.NoError(t, err)
	assert.Empty(t, out)
}

func TestCommandMayLeaveItsInputUnread(t *testing.T) {
	_, err := CommandOn(context.Background(), []string{"/bin/true"}, nil, bytes.Repeat([]byte("x"), 1<<20))
	assert.NoError(t, err)
}
