package hold

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
)

// FuzzAnswer reads any answer of an owner to a begin, by both modes. One that is
// taken is about this hold, and what it says of the engine is a release.
func FuzzAnswer(f *testing.F) {
	const token = "0123456789abcdef0123456789abcdef"
	f.Add([]byte(`{"token":"` + token + `","engine_version":"v1.5.6"}`))
	f.Add([]byte(`{"token":"` + token + `","engine_version":"v1.5.6-dev3"}`))
	f.Add([]byte(`{"TOKEN":"` + token + `"}`))
	f.Add([]byte(" \n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, mode := range []string{config.HoldHTTP, config.HoldCommand} {
			h := New(config.Hold{Mode: mode}, "/x")
			h.token = token
			held, err := h.held(answer)
			require.Equal(t, token, held.Token)
			if err != nil {
				require.Less(t, len(err.Error()), 2000)
				require.Empty(t, held.EngineVersion)
				continue
			}
			if held.EngineVersion != "" {
				require.Regexp(t, `^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$`, held.EngineVersion)
			}
			if strings.TrimSpace(string(answer)) != "" {
				require.Contains(t, string(answer), token)
			}
		}
	})
}
