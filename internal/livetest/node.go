package livetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// NodeService is the Node.js service of the examples, running.
type NodeService struct {
	*Owner
	// URL is its address on loopback, Socket its unix socket.
	URL, Socket string
}

// nodeFiles are the service's own.
var nodeFiles = []string{"package.json", "package-lock.json", "service.mjs", "shop.mjs", "flood.mjs", "schema.mjs", "check.mjs"}

// installNode returns a directory with the service and its packages: the
// checkout's, or one below bin where that has none. There they are installed
// from the lock file, unless they are there already.
func installNode(t testing.TB, bin string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	dir := filepath.Join(Root(t), "examples", "node-service")
	installed := filepath.Join(bin, "node-service")
	for _, there := range []string{dir, installed} {
		if _, err := os.Stat(filepath.Join(there, "node_modules", "@duckdb", "node-api")); err == nil {
			return there
		}
	}
	// The service imports the hook beside it.
	beside := filepath.Join(bin, "node-hook")
	for _, dir := range []string{installed, beside} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	copyFiles(t, dir, installed, nodeFiles...)
	copyFiles(t, filepath.Join(filepath.Dir(dir), "node-hook"), beside, "hook.mjs")
	run(t, installed, "npm", "ci", "--no-audit", "--no-fund")
	return installed
}

// StartNode starts the service on the database, with further flags.
func StartNode(t testing.TB, database string, flags ...string) *NodeService {
	t.Helper()
	return startNode(t, installNode(t, t.TempDir()), database, flags...)
}

func startNode(t testing.TB, dir, database string, flags ...string) *NodeService {
	t.Helper()
	// The path of a unix socket has about a hundred bytes at most, which a
	// test's own directory can exceed.
	sockets, err := os.MkdirTemp("", "shop")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	s := &NodeService{Socket: filepath.Join(sockets, "shop.sock")}
	cmd := exec.Command("node", append([]string{"service.mjs", "--database", database, "--port", "0", "--socket", s.Socket, "--until-eof"}, flags...)...)
	cmd.Dir = dir
	s.Owner = start(t, database, cmd)
	select {
	case line := <-s.lines:
		var listening struct {
			Port int `json:"port"`
		}
		require.NoErrorf(t, json.Unmarshal([]byte(line), &listening), "the service's first line is %q; it printed:\n%s", line, s.stderr)
		s.URL = fmt.Sprintf("http://127.0.0.1:%d", listening.Port)
	case <-time.After(time.Minute):
		require.FailNowf(t, "the service does not start", "%s", s.stderr)
	}
	s.committed = func() (int64, error) {
		status, err := s.Status(context.Background())
		return status.Committed, err
	}
	s.fold = func() error {
		_, err := s.call(context.Background(), http.MethodPost, "/checkpoint")
		return err
	}
	return s
}

// NodeStatus is the service's answer: the last committed order, the last
// committed batch and the number of checkpoints that it was asked for.
type NodeStatus struct {
	Committed   int64 `json:"committed"`
	Batches     int64 `json:"batches"`
	Checkpoints int64 `json:"checkpoints"`
}

// Status asks the service.
func (s *NodeService) Status(ctx context.Context) (NodeStatus, error) {
	return s.call(ctx, http.MethodGet, "/status")
}

func (s *NodeService) call(ctx context.Context, method, path string) (NodeStatus, error) {
	var status NodeStatus
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, nil)
	if err != nil {
		return status, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, tailBytes))
		return status, errors.Join(fmt.Errorf("%s answered %s: %s", request.URL, response.Status, text), err)
	}
	return status, json.NewDecoder(response.Body).Decode(&status)
}
