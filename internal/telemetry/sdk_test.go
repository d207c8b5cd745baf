package telemetry

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The names are those that Temporal documents for Prometheus.
func TestMetricsOfTheSDK(t *testing.T) {
	m := NewMetrics("db1", "v1", nil)
	h := m.SDK().WithTags(map[string]string{"namespace": "default"})
	h.Counter("temporal_request").Inc(2)
	h.Counter("temporal_request").Inc(1)
	h.Counter("temporal_request").Inc(-1)
	h.WithTags(map[string]string{"operation": "Poll", "name-space": "x"}).Counter("temporal_request").Inc(5)
	h.Gauge("temporal_num_pollers").Update(4)
	h.Gauge("temporal_num_pollers").Update(3)
	h.Timer("temporal_request_latency").Record(20 * time.Millisecond)
	require.NoError(t, testutil.GatherAndCompare(m.registry, strings.NewReader(`
# HELP temporal_num_pollers Of Temporal's Go SDK.
# TYPE temporal_num_pollers gauge
temporal_num_pollers{namespace="default"} 3
# HELP temporal_request_total Of Temporal's Go SDK.
# TYPE temporal_request_total counter
temporal_request_total{namespace="default"} 3
temporal_request_total{name_space="x",namespace="default",operation="Poll"} 5
`), "temporal_num_pollers", "temporal_request_total"))
	n, err := testutil.GatherAndCount(m.registry, "temporal_request_latency_seconds")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

func TestMetricsOfTheSDKAreSafeForConcurrentUse(t *testing.T) {
	m := NewMetrics("db1", "v1", nil)
	h := m.SDK()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				h.WithTags(map[string]string{"a": "b"}).Counter("c").Inc(1)
				_, err := m.registry.Gather()
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
	require.NoError(t, testutil.GatherAndCompare(m.registry, strings.NewReader("# HELP c_total Of Temporal's Go SDK.\n# TYPE c_total counter\nc_total{a=\"b\"} 800\n"), "c_total"))
}
