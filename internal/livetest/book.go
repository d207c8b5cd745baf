package livetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// Book has a Tally for each kind of owner and method, and the faults of the
// engines themselves. It may be used from several goroutines.
type Book struct {
	mu     sync.Mutex // guards all that follows
	rows   []*row
	faults []string // of engines, each with what is known of it
}

type row struct {
	kind, method string
	tally        Tally
}

// Write changes a tally.
func (b *Book) Write(kind Kind, method Method, change func(*Tally)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.kind == kind.Name && r.method == method.Name {
			change(&r.tally)
			return
		}
	}
	r := &row{kind: kind.Name, method: method.Name}
	change(&r.tally)
	b.rows = append(b.rows, r)
}

// Fault records what an engine did wrong by itself.
func (b *Book) Fault(kind Kind, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, kind.Name+": "+fmt.Sprintf(format, args...))
}

// Total returns the number of copies by a method, and of bad and lost ones.
func (b *Book) Total(method Method) (copies, bad, lost int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.method == method.Name {
			copies += r.tally.Copies
			bad += r.tally.BadCopies()
			lost += r.tally.Lost
		}
	}
	return copies, bad, lost
}

// legend explains the table.
const legend = `lost: sound copies without entries that were committed before they were begun. gave up: no copy could be accepted in time.
engine: wrong in the owner's own state, too. The bad ones: open, they do not open; crash, the engine dies of them; read, a query
fails; data, all queries run, and the data are wrong; late, they are right at first, and not after CHECKPOINT and a second opening.
`

// String renders the table and, below it, the faults of engines.
func (b *Book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortStableFunc(b.rows, func(x, y *row) int { return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.method, y.method)) })
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "owner\tmethod\tcopies\tbad\tlost\tgave up\tengine\tattempts p50/p99\tseconds p50\trules\tbad ones show as")
	for _, r := range b.rows {
		c := &r.tally
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d/%d\t%.2f\t%s\t%s\n", r.kind, r.method, c.Copies, c.BadCopies(), c.Lost, c.GaveUp, c.Engine,
			quantile(c.attempts, 0.5), quantile(c.attempts, 0.99), quantile(c.took, 0.5).Seconds(), counts(c.Rules), counts(c.Bad))
	}
	_ = w.Flush() // a strings.Builder takes everything
	text.WriteString(legend)
	fmt.Fprintf(&text, "faults of the engines themselves: %d\n", len(b.faults))
	for _, fault := range b.faults {
		fmt.Fprintln(&text, " ", fault)
	}
	return text.String()
}
