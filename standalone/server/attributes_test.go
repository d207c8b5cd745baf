package server

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
)

// A new namespace has the search attributes, one of an earlier start gets them,
// and one that has them keeps them.
func TestAttributesAreRegisteredOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "temporal.db")
	colour := map[string]enumspb.IndexedValueType{"Colour": enumspb.INDEXED_VALUE_TYPE_KEYWORD}
	both := map[string]enumspb.IndexedValueType{"Colour": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "Weight": enumspb.INDEXED_VALUE_TYPE_INT}
	for _, wanted := range []map[string]enumspb.IndexedValueType{colour, both, both, nil} {
		s, err := Start(t.Context(), Options{DBFile: file, NoUI: true, Attributes: wanted})
		require.NoError(t, err)
		c, err := s.Client(client.Options{})
		require.NoError(t, err)
		there, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: Namespace})
		require.NoError(t, err)
		for name, kind := range wanted {
			assert.Equal(t, kind, there.GetCustomAttributes()[name], name)
		}
		c.Close()
		require.NoError(t, s.Stop())
	}
}
