package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"canvasback/internal/config"
	"canvasback/internal/human"
	"canvasback/internal/job"
	"canvasback/standalone/sample"
	"canvasback/standalone/server"
)

// screen is what a person sees: what happened to out, what is going on now to
// errOut.
type screen struct {
	out, errOut io.Writer
	bar         *progressbar.ProgressBar
	step        string // the last one that was shown
	failure     string
}

func (s *screen) line(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *screen) warn(text string) { fmt.Fprintf(s.errOut, "canvasback: warning: %s\n", text) }

func (s *screen) field(name, format string, args ...any) {
	s.line("  %-10s "+format, append([]any{name}, args...)...)
}

func (s *screen) title(data string, cfg *config.Config) {
	s.line("Canvasback, with Temporal %s inside. For this machine only.", server.Version())
	s.field("state", "%s", data)
	s.field("backups", "%s", cfg.Repository)
	for _, d := range cfg.Databases {
		s.field("database", "%s = %s", d.Name, d.Path)
	}
}

func (s *screen) sample(path string, p *sample.Process) {
	s.line("  No --database was given, so this is a sample: process %d holds %s open", p.PID(), filepath.Base(path))
	s.line("  and commits about 50 transactions a second. It ends with this program.")
}

func (s *screen) server(srv *server.Server) {
	s.field("temporal", "%s", srv.HostPort())
	if ui := srv.UIAddress(); ui != "" {
		s.field("web UI", "%s", ui)
	}
}

// progress shows the step a run is at: a bar on a terminal, else a line for
// each step.
func (s *screen) progress(st step) {
	if st.name == "" {
		return
	}
	if st.failure != "" && st.failure != s.failure {
		s.endProgress()
		s.failure = st.failure
		fmt.Fprintf(s.errOut, "  %s, attempt %d after: %s\n", strings.ToLower(st.name), st.attempt, st.failure)
	}
	f, ok := s.errOut.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		if st.name != s.step {
			s.step = st.name
			fmt.Fprintf(s.errOut, "  %s ...\n", strings.ToLower(st.name))
		}
		return
	}
	p := st.progress
	if what := strings.TrimSpace(strings.ToLower(st.name) + " " + p.Phase); s.bar == nil || what != s.step {
		s.endProgress()
		s.step = what
		s.bar = progressbar.NewOptions64(max(p.Total, 1),
			progressbar.OptionSetWriter(f),
			progressbar.OptionSetDescription("  "+what),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionClearOnFinish(),
		)
	}
	if p.Total > 0 && p.Total != s.bar.GetMax64() {
		s.bar.ChangeMax64(p.Total)
	}
	_ = s.bar.Set64(min(p.Done, s.bar.GetMax64()))
}

func (s *screen) endProgress() {
	if s.bar != nil {
		_ = s.bar.Clear()
		s.bar = nil
	}
	s.step = ""
}

// report is what a finished backup has to show.
type report struct {
	result         *job.BackupResult
	database       string
	repository     string
	page           string // empty without a UI
	cron, timezone string
	next           time.Time
	paused         bool
	goRun          bool
	commits        *commits // of the sample
}

// commits counts the sample's transactions: when the backup began, when it was
// done, a moment later, and in the backup.
type commits struct{ before, during, after, held int64 }

func (s *screen) report(r *report) {
	res := r.result
	s.line("Backup %s of %s is %s.", res.ID, res.Database, res.State)
	s.field("rule", "%s, %s", res.Rule, human.Count(int64(res.Attempts), "attempt"))
	s.field("size", "%s in %.1f s, %.1f s in all", human.Bytes(res.Bytes), res.CopySeconds, res.DurationSeconds)
	s.field("contents", "%s, %s", human.Count(int64(res.Tables), "table"), human.Count(res.Rows, "row"))
	if c := r.commits; c != nil {
		s.field("writer", "%d commits before, %d when the backup was done, %d now", c.before, c.during, c.after)
		s.field("", "the backup holds the first %d of them", c.held)
	}
	if r.page != "" {
		s.field("run", "%s", r.page)
	}
	s.field("next", "%s", r.nextRun())
	starter := "starter"
	if r.goRun {
		starter = "go run ./starter"
	}
	s.field("list", "%s list --repository %s", starter, shellWord(r.repository))
	s.field("restore", "%s restore --repository %s --database %s --backup %s --target ./%s-restored.duckdb",
		starter, shellWord(r.repository), r.database, res.ID, r.database)
}

func (r *report) nextRun() string {
	if r.next.IsZero() {
		return fmt.Sprintf("never (%s)", r.cron)
	}
	at := r.next
	if zone, err := time.LoadLocation(r.timezone); err == nil {
		at = at.In(zone)
	}
	text := fmt.Sprintf("%s (%s, %s)", at.Format("Mon 2 Jan 2006 15:04"), r.cron, r.timezone)
	if r.paused {
		text += ", but the schedule is paused"
	}
	return text
}

// shellWord quotes a word where a shell would take it apart.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// escape makes a workflow ID one segment of a URL's path.
func escape(id string) string { return url.PathEscape(id) }
