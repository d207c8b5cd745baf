package cli

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"canvasback/internal/job"
)

// progress draws a bar on standard error while a step runs. It draws nothing
// where standard error is no terminal or holds a log, or the result is wanted as
// JSON.
type progress struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	step string
}

// progress starts a bar; end takes it off the screen again.
func (a *app) progress() *progress {
	p := &progress{}
	if f, ok := a.errOut.(*os.File); ok && !a.json && !a.logged && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	return p
}

// update shows pr. A new step or phase starts a new bar. It is called by one
// goroutine at a time.
func (p *progress) update(pr job.Progress) {
	if p.w == nil {
		return
	}
	if step := pr.Step + " " + pr.Phase; p.bar == nil || step != p.step {
		p.end()
		p.step = step
		p.bar = progressbar.NewOptions64(max(pr.Total, 1),
			progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetDescription(step),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
		)
	}
	if pr.Total > 0 && pr.Total != p.bar.GetMax64() {
		p.bar.ChangeMax64(pr.Total)
	}
	_ = p.bar.Set64(min(pr.Done, p.bar.GetMax64()))
}

// end clears the bar, so that the next line starts on an empty one.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}
