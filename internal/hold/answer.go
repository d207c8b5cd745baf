package hold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"canvasback/internal/config"
	"canvasback/internal/hook"
	"canvasback/internal/hotcopy"
)

// versionPattern is a DuckDB version, with what follows it in a build that is
// not a release.
var versionPattern = regexp.MustCompile(`^v?([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})(-[0-9A-Za-z.+-]{1,40})?$`)

// held reads the owner's answer to a begin. A command may stay silent. The
// version of a build that is not a release is not passed on: what is known of
// a release says nothing of it.
func (h *Hold) held(answer []byte) (hotcopy.Held, error) {
	held := hotcopy.Held{Token: h.token}
	if len(answer) > hook.MaxAnswer {
		return held, fmt.Errorf("its answer is longer than %d bytes", hook.MaxAnswer)
	}
	if h.options.Mode == config.HoldCommand && len(bytes.TrimSpace(answer)) == 0 {
		return held, nil
	}
	var said struct {
		Token         string `json:"token"`
		EngineVersion string `json:"engine_version"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return held, fmt.Errorf("its answer %q is not the JSON that is wanted: %w", answer[:min(len(answer), 200)], err)
	}
	if said.Token != h.token {
		return held, fmt.Errorf("its answer is about the hold %.64q, not %q", said.Token, h.token)
	}
	if said.EngineVersion == "" {
		return held, nil
	}
	m := versionPattern.FindStringSubmatch(said.EngineVersion)
	if m == nil {
		return held, fmt.Errorf("its answer names the engine version %.64q, which is not one such as 1.5.6", said.EngineVersion)
	}
	if m[2] == "" {
		held.EngineVersion = m[1]
	}
	return held, nil
}
