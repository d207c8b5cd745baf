package hotcopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"canvasback/internal/failure"
)

// end is what the last look found; all of it speaks of one unchanged header.
type end struct {
	commits  bool // the WAL holds a commit
	underWay bool // a marker at its end, or .wal.checkpoint
}

// check looks at the path, the WAL and then the headers. An error of kind
// Moving means that the pass is lost.
func (c *copier) check(ctx context.Context, p *pass) (end, error) {
	if err := c.src.replaced(); err != nil {
		return end{}, err
	}
	main, err := c.src.openLog(walSuffix)
	if err != nil {
		return end{}, err
	}
	side, err := c.src.openLog(checkpointSuffix)
	if err != nil {
		return end{}, errors.Join(err, main.close())
	}
	e, err := c.checkLogs(ctx, p, main, side)
	err = errors.Join(err, main.close(), side.close())
	now, herr := c.src.headers(ctx, c.o.sleep)
	if herr == nil && !bytes.Equal(now.Raw[:], p.view.head.Raw[:]) && !c.o.skips(withoutEndHeaders) {
		return end{}, c.moved(p, now)
	}
	return e, errors.Join(err, herr)
}

func (c *copier) checkLogs(ctx context.Context, p *pass, main, side *log) (end, error) {
	for _, x := range []struct {
		m mark
		l *log
	}{{p.Main, main}, {p.side, side}} {
		same, err := x.m.holds(ctx, x.l)
		if err != nil {
			return end{}, err
		}
		if !same && !c.o.skips(withoutPrefix) {
			return end{}, failure.Errorf(failure.Moving, "the WAL of %s was replaced during the copy", c.src.path)
		}
	}
	_, marked := main.marker()
	return end{commits: main.commits() > 0, underWay: marked || side.file != nil}, nil
}

// accept finds the rule that the finished pass fulfils, waiting where a rule
// needs it. An error of kind Moving means that another pass is needed.
func (c *copier) accept(ctx context.Context, p *pass) (rule string, evidence map[string]string, err error) {
	e, err := c.check(ctx, p)
	if err != nil {
		return "", nil, err
	}
	ev := c.evidence(p)
	if rule := c.byProof(p, e, ev); rule != "" {
		return rule, ev, nil
	}
	if age, old := c.untouched(p); old {
		ev["variant"] = "untouched"
		ev["age"] = age.Round(time.Millisecond).String()
		return "C", ev, nil
	}
	if p.flip {
		return c.byFlip(ctx, p, ev)
	}
	return c.byWaiting(ctx, p, ev)
}

// byProof tries the rules that need no waiting.
func (c *copier) byProof(p *pass, e end, ev map[string]string) string {
	switch {
	case p.stalled == quiet && e.commits && (!e.underWay || c.o.skips(withoutMarker)):
		ev["because"] = "the WAL holds commits and no checkpoint marker, the header is unchanged"
		return "A"
	case vouched(c.o.EngineVersion):
		ev["because"] = "the operator vouches for DuckDB " + c.o.EngineVersion + ", the header is unchanged"
		return "B"
	}
	return ""
}

// untouched: nothing was written to the file since Settle before the pass. Both
// times must be in the past of the pass, or a clock was set back.
func (c *copier) untouched(p *pass) (time.Duration, bool) {
	info, err := c.src.db.Stat()
	if err != nil {
		return 0, false
	}
	last := info.ModTime
	if info.ChangeTime.After(last) {
		last = info.ChangeTime
	}
	age := p.Began.Sub(last)
	return age, age > c.o.Settle
}

// byWaiting holds the pass back until the header has stood still for Settle
// after the last read. A commit in the WAL ends the wait by rule A.
func (c *copier) byWaiting(ctx context.Context, p *pass, ev map[string]string) (string, map[string]string, error) {
	for start := c.o.clock.Now(); ; {
		waited := c.o.since(start) // before the look that it is to justify
		e, err := c.check(ctx, p)
		if err != nil {
			if failure.Of(err) == failure.Moving {
				c.lostWaits++
			}
			return "", nil, err
		}
		if rule := c.byProof(p, e, ev); rule != "" {
			return rule, ev, nil
		}
		if waited > c.o.Settle || c.o.skips(withoutSettle) {
			ev["variant"] = "settled"
			ev["waited"] = waited.Round(time.Millisecond).String()
			return "C", ev, nil
		}
		c.o.Progress(Progress{Phase: "settle", Attempt: p.Attempt, Done: int64(waited), Total: int64(c.o.Settle)})
		if err := c.o.sleep(ctx, min(200*time.Millisecond, c.o.Settle/4+time.Millisecond)); err != nil {
			return "", nil, err
		}
	}
}

// byFlip reads everything a second time.
func (c *copier) byFlip(ctx context.Context, p *pass, ev map[string]string) (string, map[string]string, error) {
	if !c.o.skips(withoutCompare) {
		if err := c.compare(ctx, p); err != nil {
			return "", nil, err
		}
	}
	e, err := c.check(ctx, p)
	if err != nil {
		return "", nil, err
	}
	if rule := c.byProof(p, e, ev); rule != "" {
		return rule, ev, nil
	}
	if e.underWay {
		return "", nil, failure.Errorf(failure.Moving, "a checkpoint of %s began during the copy", c.src.path)
	}
	ev["variant"] = "flip"
	ev["blocks_changed_since_the_pass_before"] = strconv.FormatInt(p.fresh, 10)
	return "C", ev, nil
}

func (c *copier) evidence(p *pass) map[string]string {
	ev := map[string]string{
		"headers_sha256": p.Headers,
		"gate_waited":    p.waited.Round(time.Millisecond).String(),
	}
	if p.Main.Present {
		ev["wal_inode"] = strconv.FormatUint(p.Main.Inode, 10)
		ev["wal_prefix_bytes"] = strconv.FormatInt(p.Main.End, 10)
		ev["wal_prefix_sha256"] = p.Main.SHA256
	}
	if p.stalled != quiet {
		ev["unfinished_checkpoint"] = p.stalled.String()
	}
	if p.resumed > 0 {
		ev["resumed"] = fmt.Sprintf("%s were copied by an earlier process", mega(p.resumed))
	}
	return ev
}

// vouched says whether an engine version frees blocks only after the next
// header is durable: DuckDB 1.0 to 1.4. Newer ones are not taken on trust.
func vouched(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err == nil && major == "1" && n >= 0 && n <= 4
}
