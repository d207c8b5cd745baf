package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoad_verify_level(t *testing.T) {
	const asks = "  assertions: [{name: a, sql: select 1, expect: '1'}]\n"
	tests := []struct{ name, text, want string }{
		{"no level and no assertions/full", "", LevelFull},
		{"no level and assertions/assert", asks, LevelAssert},
		{"an empty level and assertions/assert", "  verify: {level: }\n" + asks, LevelAssert},
		{"full and assertions/full", "  verify: {level: full}\n" + asks, LevelFull},
		{"L1", "  verify: {level: L1}\n", LevelBytes},
		{"l2", "  verify: {level: l2}\n", LevelOpen},
		{"FULL", "  verify: {level: FULL}\n", LevelFull},
		{"L3", "  verify: {level: L3}\n", LevelFull},
		{"L4 and assertions", "  verify: {level: L4}\n" + asks, LevelAssert},
		{"Bytes", "  verify: {level: Bytes}\n", LevelBytes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, path := write(t, head+tt.text)
			c, err := Load(path)
			require.NoError(t, err)
			assert.Equal(t, tt.want, c.Databases[0].Verify.Level)
		})
	}
}
