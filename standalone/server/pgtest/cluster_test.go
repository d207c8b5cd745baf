package pgtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"canvasback/standalone/server"
)

func TestMain(m *testing.M) {
	RunIfTool()
	os.Exit(m.Run())
}

// A server keeps its state in PostgreSQL over a restart, two servers keep
// apart, and nothing is left of the cluster.
func TestServerOnPostgreSQL(t *testing.T) {
	c, err := Start(t.Context())
	require.NoError(t, err)
	stop := true
	t.Cleanup(func() {
		if stop {
			assert.NoError(t, c.Stop())
		}
	})
	one, err := c.Databases(t.Context())
	require.NoError(t, err)
	two, err := c.Databases(t.Context())
	require.NoError(t, err)
	two.Plugin = "postgres12_pgx"
	colour := map[string]enumspb.IndexedValueType{"Colour": enumspb.INDEXED_VALUE_TYPE_KEYWORD}
	start := func(o server.Options, wanted []string, add string) {
		t.Helper()
		o.NoUI = true
		s, err := server.Start(t.Context(), o)
		require.NoError(t, err)
		defer func() { assert.NoError(t, s.Stop()) }()
		temporal, err := s.Client(client.Options{})
		require.NoError(t, err)
		defer temporal.Close()
		there, err := temporal.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: server.Namespace})
		require.NoError(t, err)
		for name := range o.Attributes {
			assert.Contains(t, there.GetCustomAttributes(), name)
		}
		var found []string
		namespaces, err := temporal.WorkflowService().ListNamespaces(t.Context(), &workflowservice.ListNamespacesRequest{})
		require.NoError(t, err)
		for _, n := range namespaces.GetNamespaces() {
			if name := n.GetNamespaceInfo().GetName(); name != "temporal-system" && name != server.Namespace {
				found = append(found, name)
			}
			if n.GetNamespaceInfo().GetName() == server.Namespace {
				assert.Equal(t, server.DefaultRetention, n.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
			}
		}
		assert.Equal(t, wanted, found)
		if add != "" {
			_, err := temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
				Namespace: add, WorkflowExecutionRetentionPeriod: namespaces.GetNamespaces()[0].GetConfig().GetWorkflowExecutionRetentionTtl(),
			})
			require.NoError(t, err)
		}
	}
	start(server.Options{PostgreSQL: one, Attributes: colour}, nil, "first")
	start(server.Options{PostgreSQL: two}, nil, "")
	start(server.Options{PostgreSQL: one, Attributes: colour}, []string{"first"}, "")

	stop = false
	require.NoError(t, c.Stop())
	assert.NoDirExists(t, c.dir)
	left, err := filepath.Glob(filepath.Join("/proc", "[0-9]*", "cwd"))
	require.NoError(t, err)
	for _, link := range left {
		if at, err := os.Readlink(link); err == nil {
			assert.NotContains(t, at, c.dir)
		}
	}
}
