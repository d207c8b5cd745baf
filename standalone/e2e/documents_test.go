package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bare are the documents that begin with nothing; the others speak of backups
// that run already.
var bare = []string{"README.md", "docs/setup.md", "examples/node-service/README.md"}

// TestCommandsOfTheDocuments runs every command that the documents show, in
// their order, but for those that are on the list of what is not run. Each
// succeeds, and says what is shown.
func TestCommandsOfTheDocuments(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t) {
		commands := commandsOf(t, document)
		commands = slices.DeleteFunc(commands, func(c shown) bool {
			class, known := classOf(c)
			require.True(t, known, "%s: see TestEveryCommandHasAClass", c)
			return class.not != ""
		})
		if len(commands) == 0 {
			continue
		}
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			if !slices.Contains(bare, document) {
				s.settled()
			}
			for _, c := range commands {
				s.follow(c)
			}
		})
	}
}

var (
	startsRun = regexp.MustCompile(`starter (run|stop|drill|schedule (trigger|backfill)|backup)\b`)
	schedules = regexp.MustCompile(`starter schedule create( --drill)? --database (\S+)`)
	unpauses  = regexp.MustCompile(`starter schedule unpause --database (\S+)`)
)

// follow runs one command, after what its text takes for granted.
func (s *sandbox) follow(c shown) {
	s.t.Helper()
	class, _ := classOf(c)
	if class.stays {
		s.begin(c.text)
		return
	}
	if startsRun.MatchString(c.text) {
		s.waitIdle()
	}
	if m := schedules.FindStringSubmatch(c.text); m != nil {
		s.run("starter schedule delete" + m[1] + " --database " + m[2]) // where there is one already
	}
	if m := unpauses.FindStringSubmatch(c.text); m != nil {
		s.must("starter schedule pause --database " + m[1])
	}
	a := s.run(c.text)
	status := class.status
	if status == nil {
		status = []int{0}
	}
	if !assert.Contains(s.t, status, a.status, "%s\n%s%s", c, a.out, a.errOut) {
		return
	}
	if c.answer != nil {
		assert.True(s.t, matches(c.answer, a.out), "%s\nis shown to say\n%q\nand says\n%s%s", c, c.answer, a.out, a.errOut)
	}
}

// waitIdle waits until no run is at work.
func (s *sandbox) waitIdle() {
	eventually(s.t, "no run is at work", func() bool {
		a := s.run("starter status --json")
		var all []struct{ Running *struct{} }
		require.NoError(s.t, json.Unmarshal([]byte(a.out), &all), "%s%s", a.out, a.errOut)
		return !slices.ContainsFunc(all, func(d struct{ Running *struct{} }) bool { return d.Running != nil })
	})
}
