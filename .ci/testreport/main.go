// Command testreport reads the output of "go test -json" and prints it as a
// person wants it: a line for each package, and all that a failed test said.
// It fails where a test failed, where one was skipped, and where none ran: a
// check that did not happen is not one that passed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maySkip names the tests, as "package.Test", that are allowed to be skipped.
var maySkip = []string{}

// event is a line of go test -json.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

type report struct {
	output                  map[string][]string // by package and test
	passed, failed, skipped []string
	broken                  []string // packages that failed outside a test
}

func main() {
	r := &report{output: map[string][]string{}}
	if err := r.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.summarise(os.Stdout) {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // of the go command itself
			continue
		}
		r.take(e, out)
	}
	return lines.Err()
}

func (r *report) take(e event, out io.Writer) {
	key := e.Package + "." + e.Test
	switch e.Action {
	case "output":
		if e.Test == "" && isResult(e.Output) {
			fmt.Fprint(out, e.Output)
			return
		}
		r.output[key] = append(r.output[key], e.Output)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "build-fail":
		r.broken = append(r.broken, e.ImportPath)
	case "pass":
		if e.Test != "" {
			r.passed = append(r.passed, key)
		}
		delete(r.output, key)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, key)
		}
	case "fail":
		if e.Test == "" {
			r.broken = append(r.broken, e.Package)
		} else {
			r.failed = append(r.failed, key)
		}
		fmt.Fprint(out, strings.Join(r.output[key], ""))
	}
}

// isResult tells whether a package's output is its closing line.
func isResult(line string) bool {
	for _, prefix := range []string{"ok  \t", "FAIL\t", "?   \t"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// firstLines is how many lines of a failed test the summary repeats.
const firstLines = 40

// first is what a failed test said first. What it found wrong comes before the logs
// of the processes that it ends, and is to be seen where only the end of a long
// record is kept.
func (r *report) first(name string) []string {
	said := slices.DeleteFunc(slices.Clone(r.output[name]), func(line string) bool { return strings.HasPrefix(line, "=== ") })
	return said[:min(firstLines, len(said))]
}

// summarise ends with the numbers, and returns whether all is well.
func (r *report) summarise(out io.Writer) bool {
	well := len(r.failed) == 0 && len(r.broken) == 0
	for _, name := range r.failed {
		fmt.Fprintln(out, "failed:", name)
		fmt.Fprint(out, strings.Join(r.first(name), ""))
	}
	for _, name := range r.broken {
		fmt.Fprintln(out, "failed package:", name)
	}
	for _, name := range r.skipped {
		if slices.Contains(maySkip, name) {
			fmt.Fprintln(out, "skipped, as it may be:", name)
			continue
		}
		fmt.Fprintln(out, "skipped, but may not be:", name)
		fmt.Fprint(out, strings.Join(r.output[name], ""))
		well = false
	}
	if len(r.passed) == 0 {
		fmt.Fprintln(out, "no test ran")
		well = false
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", len(r.passed), len(r.failed), len(r.skipped))
	return well
}
