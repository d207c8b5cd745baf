package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prometheus is a real one, with the shipped alert rules. What they wait for, the
// "for:" of each, is shortened to a second, or this test would take an hour; the
// rules are held to the times by their own tests. It scrapes every second.
type prometheus struct {
	t       *testing.T
	address string
	targets string // file

	mu      sync.Mutex // guards known
	known   []string
	started time.Time
}

var waits = regexp.MustCompile(`(?m)^(\s+for: ).*$`)

func startPrometheus(t *testing.T) *prometheus {
	t.Helper()
	dir := t.TempDir()
	rules, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "alerts.yml"))
	require.NoError(t, err)
	rules = waits.ReplaceAll(rules, []byte("${1}1s"))
	p := &prometheus{t: t, targets: filepath.Join(dir, "targets.json"), started: time.Now()}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: canvasback
    file_sd_configs: [{files: [%s], refresh_interval: 1s}]
`, filepath.Join(dir, "alerts.yml"), p.targets)
	for name, text := range map[string]string{"alerts.yml": string(rules), "prometheus.yml": config, "targets.json": "[]"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.address = l.Addr().String()
	require.NoError(t, l.Close())
	log, err := os.Create(filepath.Join(dir, "prometheus.log"))
	require.NoError(t, err)
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("prometheus said:\n%s", text)
		}
	})
	eventually(t, "prometheus is ready", func() bool {
		res, err := http.Get("http://" + p.address + "/-/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

// scrape adds a worker's address.
func (p *prometheus) scrape(address string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = append(p.known, address)
	data, err := json.Marshal([]map[string][]string{{"targets": p.known}})
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(p.targets+".new", data, 0o600))
	require.NoError(p.t, os.Rename(p.targets+".new", p.targets))
}

// sample is a series and its value.
type sample struct {
	labels map[string]string
	value  float64
}

// query asks for an instant vector.
func (p *prometheus) query(expr string) []sample {
	p.t.Helper()
	res, err := http.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(expr))
	require.NoError(p.t, err)
	defer res.Body.Close()
	var doc struct {
		Status string
		Error  string
		Data   struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	require.NoError(p.t, json.NewDecoder(res.Body).Decode(&doc))
	require.Equal(p.t, "success", doc.Status, "%s: %s", expr, doc.Error)
	var all []sample
	for _, r := range doc.Data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		require.NoError(p.t, err)
		all = append(all, sample{r.Metric, v})
	}
	return all
}

// value is that of the one series that expr selects.
func (p *prometheus) value(expr string) float64 {
	p.t.Helper()
	all := p.query(expr)
	require.Len(p.t, all, 1, expr)
	return all[0].value
}

// firing tells whether an alert fires with the given labels.
func (p *prometheus) firing(alert, labels string) bool {
	return len(p.query(fmt.Sprintf(`ALERTS{alertname="Canvasback%s",alertstate="firing",%s}`, alert, labels))) > 0
}

// patience is for what the worker finds out minutes later.
const patience = 10 * time.Minute

// fires waits until the alert does, and logs how long that was after what was done.
func (p *prometheus) fires(t *testing.T, alert, labels, what string, done time.Time) {
	t.Helper()
	within(t, patience, alert+" fires: "+what, func() bool { return p.firing(alert, labels) })
	t.Logf("%s: %s: fires after %.0f s", alert, what, time.Since(done).Seconds())
}

// ends waits until the alert does not fire any more.
func (p *prometheus) ends(t *testing.T, alert, labels, what string, done time.Time) {
	t.Helper()
	within(t, patience, alert+" ends: "+what, func() bool { return !p.firing(alert, labels) })
	t.Logf("%s: %s: ends after %.0f s", alert, what, time.Since(done).Seconds())
}

var serving = regexp.MustCompile(`msg="Serving metrics" address=(\S+)`)

// metricsAddress is where a worker of --metrics-address 127.0.0.1:0 listens.
func (p *process) metricsAddress() string {
	p.t.Helper()
	var found []string
	eventually(p.t, "the worker serves metrics", func() bool {
		found = serving.FindStringSubmatch(p.said())
		return found != nil
	})
	return found[1]
}

// settled waits for the first report of a database.
func (p *prometheus) settled(w *world) string {
	p.t.Helper()
	labels := fmt.Sprintf(`host="%s",database="%s"`, w.host, w.name())
	eventually(p.t, "the worker of "+w.host+" reports", func() bool {
		return len(p.query(`canvasback_repository_looked_age_seconds{host="`+w.host+`"} and on (host) canvasback_temporal_seen_age_seconds`)) == 1
	})
	return labels
}

func TestMetricsOfARealWorker(t *testing.T) {
	t.Parallel()
	p := startPrometheus(t)
	w := newWorld(t, shared.HostPort())
	w.create()
	worker := w.startWorker("--metrics-address", "127.0.0.1:0", "--config", w.slow("1GB"))
	w.waitForWorker()
	p.scrape(worker.metricsAddress())
	labels := p.settled(w)
	assert.Empty(t, p.query(`canvasback_newest_verified_age_seconds{`+labels+`}`))
	assert.Empty(t, p.query(`canvasback_max_age_seconds{`+labels+`}`), "there is neither a max_age nor a schedule")
	assert.Equal(t, 1.0, p.value(`canvasback_problem{`+labels+`,kind="no-backup"}`))
	var result resultDoc
	w.do(&result, "run")
	eventually(t, "the backup is seen", func() bool { return len(p.query(`canvasback_newest_verified_age_seconds{`+labels+`}`)) == 1 })
	for expr, want := range map[string]float64{
		`canvasback_backups{` + labels + `}`:                                                                                   1,
		`canvasback_newest_verified_bytes{` + labels + `}`:                                                                     float64(result.Bytes),
		`canvasback_copied_bytes_total{` + labels + `}`:                                                                        float64(result.Bytes),
		`canvasback_copies_total{` + labels + `} == 1`:                                                                         1,
		`canvasback_copy_attempts_total{` + labels + `}`:                                                                       float64(result.Attempts),
		`canvasback_verifications_total{` + labels + `,state="verified"}`:                                                      1,
		`canvasback_prune_decisions_total{` + labels + `,decision="kept"}`:                                                     1,
		`canvasback_step_duration_seconds_count{` + labels + `,step="copy",outcome="done"}`:                                    1,
		`sum(canvasback_steps_running{` + labels + `})`:                                                                        0,
		`canvasback_repository_bytes{host="` + w.host + `"}`:                                                                   float64(result.Bytes),
		`canvasback_temporal_connected{host="` + w.host + `"}`:                                                                 1,
		`temporal_activity_execution_latency_seconds_count{task_queue="canvasback@` + w.host + `/turns",activity_type="Copy"}`: 1,
	} {
		eventually(t, expr+" is scraped", func() bool { s := p.query(expr); return len(s) == 1 && s[0].value == want })
	}
	for expr, most := range map[string]float64{
		`canvasback_newest_verified_age_seconds{` + labels + `}`:                          600,
		`canvasback_step_duration_seconds_sum{` + labels + `,step="copy",outcome="done"}`: 600,
		`canvasback_report_age_seconds{host="` + w.host + `"}`:                            600,
		`time() - process_start_time_seconds`:                                             600,
		`canvasback_repository_free_bytes{host="` + w.host + `"} / 1e18`:                  1,
	} {
		v := p.value(expr)
		assert.Greater(t, v, 0.0, expr)
		assert.Less(t, v, most, expr)
	}
	res, err := http.Get("http://" + worker.metricsAddress() + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = bytes.NewReader(text)
	out, err := check.CombinedOutput()
	assert.NoError(t, err, "%s", out)
	t.Logf("%d families, %d series, %d bytes", strings.Count(string(text), "# TYPE"), int(p.value(`scrape_samples_scraped{instance="`+worker.metricsAddress()+`"}`)), len(text))
}
