package telemetry

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/pace"
)

func gather(t *testing.T, m *Metrics) []*dto.MetricFamily {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	return families
}

// text are the sample lines of a family.
func text(t *testing.T, f *dto.MetricFamily) []string {
	t.Helper()
	var out bytes.Buffer
	_, err := expfmt.MetricFamilyToText(&out, f)
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// whole are metrics with at least one series in each family.
func whole(t *testing.T) *Metrics {
	t.Helper()
	m := watched(t, fullReport())
	m.Bandwidth(func() (pace.Stats, bool) { return pace.Stats{}, true })
	r := NewRecorder(silentLog(t), m)
	for _, do := range every {
		assert.Error(t, do(r.Steps(&fake{err: os.ErrClosed})))
	}
	return m
}

func TestMetricsPassTheLinter(t *testing.T) {
	problems, err := testutil.GatherAndLint(whole(t).registry)
	require.NoError(t, err)
	for _, p := range problems {
		assert.Failf(t, "the linter", "%s: %s", p.Metric, p.Text)
	}
}

// TestEveryMetricIsDocumented holds docs/metrics.md to the registry: names, kinds,
// labels and what each means.
func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	require.NoError(t, err)
	documented := regexp.MustCompile("(?m)^\\| `canvasback_.*$").FindAllString(string(page), -1)
	var there []string
	for _, f := range gather(t, whole(t)) {
		if strings.HasPrefix(f.GetName(), "canvasback_") {
			there = append(there, row(f))
		}
	}
	require.NotEmpty(t, there)
	assert.Equal(t, strings.Join(there, "\n"), strings.Join(documented, "\n"))
}

// row is how the page shows a family.
func row(f *dto.MetricFamily) string {
	var labels []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !slices.Contains(labels, "`"+l.GetName()+"`") {
				labels = append(labels, "`"+l.GetName()+"`")
			}
		}
	}
	slices.Sort(labels)
	return "| `" + f.GetName() + "` | " + strings.ToLower(f.GetType().String()) + " | " + strings.Join(labels, ", ") + " | " + f.GetHelp() + " |"
}
