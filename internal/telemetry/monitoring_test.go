package telemetry

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"canvasback/internal/health"
)

const monitoring = "../../docs/monitoring"

// promtool is that of Prometheus' package.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir = monitoring
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "promtool %v: %s", args, out)
	assert.Contains(t, string(out), "SUCCESS")
}

func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint-fatal", "alerts.yml")
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(monitoring, "alerts.yml"))
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(data, &file))
	require.Len(t, file.Groups, 1)
	require.NotEmpty(t, file.Groups[0].Rules)
	return file.Groups[0].Rules
}

// Each alert is urgent or not, tells where its runbook is, and is tested both ways.
func TestAlertsAreWhole(t *testing.T) {
	tests, err := os.ReadFile(filepath.Join(monitoring, "alerts_test.yml"))
	require.NoError(t, err)
	runbooks, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbooks.md"))
	require.NoError(t, err)
	for _, r := range alerts(t) {
		_, anchor, _ := strings.Cut(r.Annotations["runbook"], "#")
		assert.Contains(t, string(runbooks), "\n## "+anchor+"\n", r.Alert)
		assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		assert.NotEmpty(t, r.Annotations["description"], r.Alert)
		assert.Regexp(t, `^docs/runbooks\.md#[a-z-]+$`, r.Annotations["runbook"], r.Alert)
		fires := regexp.MustCompile(`alertname: ` + r.Alert + `\n +eval_time: .*\n +exp_alerts:\n`)
		silent := regexp.MustCompile(`alertname: ` + r.Alert + `\n +eval_time: .*\n +exp_alerts: \[\]`)
		assert.Regexp(t, fires, string(tests), r.Alert)
		assert.Regexp(t, silent, string(tests), r.Alert)
	}
}

// dashboard returns the queries of the dashboard's panels.
func dashboard(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(monitoring, "grafana.json"))
	require.NoError(t, err)
	var d struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &d))
	require.NotEmpty(t, d.UID)
	var queries []string
	ids := map[int]bool{}
	for _, p := range d.Panels {
		assert.NotEmpty(t, p.Title)
		assert.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		for _, target := range p.Targets {
			require.NotEmpty(t, target.Expr, p.Title)
			queries = append(queries, target.Expr)
		}
	}
	require.NotEmpty(t, queries)
	return queries
}

// Prometheus understands each query of the dashboard.
func TestDashboardQueries(t *testing.T) {
	type record struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var records []record
	for i, q := range dashboard(t) {
		q = strings.NewReplacer("$__rate_interval", "5m", "$host", "db1", "$database", "shop").Replace(q)
		records = append(records, record{"panel:" + string(rune('a'+i/26)) + string(rune('a'+i%26)), q})
	}
	file := map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": records}}}
	data, err := yaml.Marshal(file)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	promtool(t, "check", "rules", path)
}

// What rules and panels ask for is there by that name.
func TestRulesAndDashboardAskForWhatThereIs(t *testing.T) {
	there := map[string]bool{}
	for _, f := range gather(t, whole(t)) {
		there[f.GetName()] = true
	}
	queries := dashboard(t)
	for _, r := range alerts(t) {
		queries = append(queries, r.Expr)
	}
	asked := map[string]bool{}
	for _, q := range queries {
		for _, name := range regexp.MustCompile(`canvasback_[a-z_]+`).FindAllString(q, -1) {
			base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
			assert.Truef(t, there[name] || there[base], "%s in %s", name, q)
			asked[base] = true
		}
	}
	assert.Greater(t, len(asked), 15)
}

// Each kind of problem is documented, and some alert goes by it.
func TestEveryKindOfProblemHasAnAlert(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	require.NoError(t, err)
	var all strings.Builder
	for _, r := range alerts(t) {
		all.WriteString(r.Expr + "\n")
	}
	for _, kind := range health.Kinds {
		assert.Contains(t, string(page), "\n| `"+kind+"` | ")
		assert.Contains(t, all.String(), `canvasback_problem{kind="`+kind+`"}`)
	}
}
