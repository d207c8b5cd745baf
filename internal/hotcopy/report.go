package hotcopy

// report tells how far a pass is.
func (c *copier) report(p *pass, phase string, done, total int64) {
	if p.headed == "" {
		p.headed = c.headed(p)
	}
	c.o.Progress(Progress{Phase: phase, Rule: p.headed, Attempt: p.Attempt, Done: done, Total: total})
}

// headed is the rule that will accept the pass if nothing changes until its end.
// It is for people only: nothing is decided by it.
func (c *copier) headed(p *pass) string {
	if c.hold.active {
		return "hold"
	}
	v := verdict{evidence: map[string]string{}}
	if c.byProof(p, end{commits: p.Commits > 0}, &v) {
		return v.rule
	}
	return "C"
}
