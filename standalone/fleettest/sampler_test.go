package fleettest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// sample is the state of one process at one time.
type sample struct {
	at         time.Time
	of         string
	rss        int64 // bytes
	cpu        float64
	files      int
	goroutines int   // 0: not known
	store      int64 // bytes of Temporal's database, of the server only
}

type sampler struct {
	s       *stage
	mu      sync.Mutex
	samples []sample
	stop    chan struct{}
	stopped sync.WaitGroup
}

// watch takes samples of the server and the workers until end.
func (s *stage) watch(each time.Duration) *sampler {
	w := &sampler{s: s, stop: make(chan struct{})}
	w.stopped.Go(func() {
		for {
			w.take()
			select {
			case <-time.After(each):
			case <-w.stop:
				w.take()
				return
			}
		}
	})
	return w
}

func (w *sampler) end() {
	close(w.stop)
	w.stopped.Wait()
}

func (w *sampler) take() {
	now := time.Now()
	if u, err := usageOf(w.s.server.cmd.Process.Pid); err == nil {
		w.add(sample{at: now, of: "server", rss: u.rss, cpu: u.cpu, files: u.files, store: w.s.storeBytes()})
	}
	for _, h := range w.s.hosts {
		p := h.worker()
		u, err := usageOf(p.cmd.Process.Pid)
		if p.gone() || err != nil {
			continue
		}
		w.add(sample{at: now, of: h.name, rss: u.rss, cpu: h.cpu(), files: u.files, goroutines: goroutines(h.metrics)})
	}
}

func (w *sampler) add(s sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = append(w.samples, s)
}

// storeBytes is the size of Temporal's SQLite files.
func (s *stage) storeBytes() (n int64) {
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(s.file + suffix); err == nil {
			n += info.Size()
		}
	}
	return n
}

var goGoroutines = regexp.MustCompile(`(?m)^go_goroutines(?:\{[^}]*\})? (\S+)`)

// goroutines are those that a worker's metrics tell of; 0 if it does not answer.
func goroutines(metrics string) int {
	c := http.Client{Timeout: 3 * time.Second}
	r, err := c.Get("http://" + metrics + "/metrics")
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return 0
	}
	m := goGoroutines.FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return 0
	}
	return int(n)
}

// table is the first, the highest and the last sample of each process.
func (w *sampler) table() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var order []string
	of := map[string][]sample{}
	for _, s := range w.samples {
		if of[s.of] == nil {
			order = append(order, s.of)
		}
		of[s.of] = append(of[s.of], s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %29s  %23s  %14s  %14s\n", "", "RSS first/max/last MiB", "CPU s first/last", "open files max", "goroutines max")
	for _, name := range order {
		var rss int64
		var files, routines int
		for _, s := range of[name] {
			rss, files, routines = max(rss, s.rss), max(files, s.files), max(routines, s.goroutines)
		}
		first, last := of[name][0], of[name][len(of[name])-1]
		fmt.Fprintf(&b, "%-8s %9.1f/%9.1f/%9.1f  %11.1f/%11.1f  %14d  %14d\n", name, mib(first.rss), mib(rss), mib(last.rss), first.cpu, last.cpu, files, routines)
		if name == "server" {
			fmt.Fprintf(&b, "Temporal's database: %.1f MiB at first, %.1f MiB at the end\n", mib(first.store), mib(last.store))
		}
	}
	return b.String()
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// save writes all samples where the figures are kept.
func (w *sampler) save(name string) {
	if *results == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	b.WriteString("time,process,rss_bytes,cpu_seconds,open_files,goroutines,store_bytes\n")
	for _, s := range w.samples {
		fmt.Fprintf(&b, "%s,%s,%d,%.2f,%d,%d,%d\n", s.at.UTC().Format(time.RFC3339), s.of, s.rss, s.cpu, s.files, s.goroutines, s.store)
	}
	require.NoError(w.s.t, os.WriteFile(filepath.Join(*results, name+".csv"), []byte(b.String()), 0o600))
}
