package hotcopy

// report tells how far a pass is.
func (c *copier) report(p *pass, phase string, done, total int64) {
	c.o.Progress(Progress{Phase: phase, Rule: c.headed(p), Attempt: p.Attempt, Done: done, Total: total})
}

// headed is the rule that will accept the pass if nothing changes until its end.
// It is for people only, and looks at nothing anew: nothing is decided by it.
func (c *copier) headed(p *pass) string {
	switch {
	case c.hold.active:
		return "hold"
	case !p.opaque() && p.stalled == quiet && p.Commits > 0:
		return "A"
	case !p.opaque() && upTo14(c.o.EngineVersion):
		return "B"
	}
	return "C"
}
