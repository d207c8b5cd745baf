package workflows

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// given is a workflow's input as it came. What is not of the type T, which would
// end the run as an error of the SDK's, is kept as why.
type given[T any] struct {
	in  T
	why error
}

func (g *given[T]) UnmarshalJSON(data []byte) error {
	g.why = json.Unmarshal(data, &g.in)
	return nil
}

func (g given[T]) MarshalJSON() ([]byte, error) { return json.Marshal(g.in) }

// Names that a configuration, or the repository, can have. Anything else is
// refused before it gets into a summary, a search attribute or a step's input,
// which have bounds of their own: beyond them the server would refuse each try of
// the run's task, for ever.
var (
	namePattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	backupPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{0,100}$`)
)

// name is one that an input has: what it is of, and what it may be.
type name struct {
	of, text string
	may      *regexp.Regexp
}

// refuse ends a run whose input cannot be meant: nil if it can. It is asked before
// anything else is done, and gates itself, since runs that were let in before
// are replayed.
func refuse(ctx workflow.Context, title string, why error, names ...name) error {
	for _, n := range names {
		if why == nil && !n.may.MatchString(n.text) {
			why = fmt.Errorf("%.80q is not the name of a %s", n.text, n.of)
		}
	}
	if why == nil || workflow.GetVersion(ctx, "refuse", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	text := strings.ToValidUTF8(why.Error(), "\uFFFD")
	err := temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("the input of the run: %s%s%s", cut(text), job.HintMark, failure.BadInput.Hint), failure.BadInput.Name, nil)
	s, unanswered := begin(ctx, title, "an input that was refused")
	if unanswered != nil {
		return unanswered
	}
	s.end(ctx, err, "")
	return err
}

func databaseName(text string) name { return name{"database", text, namePattern} }
func targetName(text string) name   { return name{"restore target", text, namePattern} }
func backupName(text string) name   { return name{"backup", text, backupPattern} }
