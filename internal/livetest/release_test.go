package livetest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHoldsAreReleased ends the process that copies in the middle of its copy.
func TestHoldsAreReleased(t *testing.T) {
	starter := buildIn(t, bin, "starter")
	owner, options := hookedWriter("duckdb15")(t)
	owner.WaitFor(t, warmUp)
	for _, test := range []struct {
		name, deadline string
		signal         syscall.Signal
		held           bool // after the process has ended
	}{
		{"it is interrupted", "10m", syscall.SIGINT, false},
		{"it is killed", "5s", syscall.SIGKILL, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, file := configure(t, owner, options, test.deadline, "bandwidth: 256KB")
			cmd := exec.Command(starter, "backup", "--local", "--config", file, "--database", "shop")
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return holding(t, options.Socket) }, time.Minute, 5*time.Millisecond, "no hold begins")
			require.NoError(t, cmd.Process.Signal(test.signal))
			assert.Error(t, cmd.Wait())
			assert.Equal(t, test.held, holding(t, options.Socket))
			require.Eventually(t, func() bool { return !holding(t, options.Socket) }, time.Minute, 50*time.Millisecond, "the hold does not end")
			waitForHeader(t, owner, look(t, owner).Iteration)
		})
	}
	checkUnharmed(t, owner, 0)
}

// holding asks the hook behind a unix socket whether a hold is active.
func holding(t *testing.T, socket string) bool {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	response, err := (&http.Client{Transport: transport}).Get("http://hook/status")
	require.NoError(t, err)
	defer response.Body.Close()
	var status struct {
		Holding       bool   `json:"holding"`
		EngineVersion string `json:"engine_version"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&status))
	require.Equal(t, "1.5.6", status.EngineVersion)
	return status.Holding
}
