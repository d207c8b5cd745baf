package e2e

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/standalone/server"
	"canvasback/standalone/server/servertest"
)

// setting is what Temporal is like in all tests.
var setting *servertest.Variant

// ownServer is one of a test, which can be stopped and started again on the
// same state and port.
type ownServer struct {
	*server.Server
	t       *testing.T
	options server.Options
}

// startServer starts one that is stopped after the test.
func startServer(t *testing.T, o server.Options) *ownServer {
	t.Helper()
	o, err := setting.Options(t.Context(), o)
	require.NoError(t, err)
	if o.PostgreSQL == nil {
		o.DBFile = filepath.Join(t.TempDir(), server.FileName())
	}
	s := &ownServer{t: t, options: o}
	s.start()
	t.Cleanup(func() { assert.NoError(t, s.Stop()) })
	return s
}

func (s *ownServer) start() {
	s.t.Helper()
	var err error
	s.Server, err = server.Start(s.t.Context(), s.options)
	require.NoError(s.t, err)
	_, port, err := net.SplitHostPort(s.HostPort())
	require.NoError(s.t, err)
	s.options.FrontendPort, err = strconv.Atoi(port)
	require.NoError(s.t, err)
}
