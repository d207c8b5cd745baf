package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"canvasback/internal/pace"
)

func TestBandwidthIsTold(t *testing.T) {
	stats, bound := pace.Stats{Limit: 50e6, Bytes: 7e9, Waited: 90 * time.Second, Waiting: 3, Stalled: 0.25}, true
	m := NewMetrics("db1", "v1", nil)
	m.Bandwidth(func() (pace.Stats, bool) { return stats, bound })
	told := func() string { return strings.Join(samples(t, m, "canvasback_bandwidth", ""), "\n") }
	const all = `canvasback_bandwidth_bytes_total{host="db1"} 7e+09
canvasback_bandwidth_limit_bytes_per_second{host="db1"} 5e+07
canvasback_bandwidth_stalled_ratio{host="db1"} 0.25
canvasback_bandwidth_waited_seconds_total{host="db1"} 90
canvasback_bandwidth_waiting{host="db1"} 3`
	assert.Equal(t, all, told())
	stats.Stalled = -1
	assert.Equal(t, strings.Replace(all, "canvasback_bandwidth_stalled_ratio{host=\"db1\"} 0.25\n", "", 1), told())
	bound = false
	assert.Empty(t, told())
}
