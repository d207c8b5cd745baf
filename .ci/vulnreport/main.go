// Command vulnreport reads the output of "govulncheck -format json" and prints
// a line for each vulnerability whose code the program can reach. It fails where
// there is one that is not known, and where a known one is no longer found: the
// list below would grow stale.
//
//	vulnreport MODULE
//
// MODULE is the directory of the module that was looked through, which the list
// is about.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// known are the vulnerabilities that cannot be mended here, by module, and why
// they do no harm.
var known = map[string]map[string]string{
	"standalone": {
		"GO-2026-6872": "no release of echo 4 mends it: rate limits by a forged address; the Web UI has no rate limits, and listens on loopback",
		"GO-2026-6875": "no release of echo 4 mends it: a reverse proxy passes X-Real-IP on; the Web UI proxies to nowhere",
	},
}

// message is one of govulncheck's output.
type message struct {
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		Trace []struct {
			Module   string `json:"module"`
			Version  string `json:"version"`
			Function string `json:"function"`
		} `json:"trace"`
	} `json:"finding"`
	Config *struct {
		Scanner string `json:"scanner_name"`
	} `json:"config"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "vulnreport: name the module")
		os.Exit(2)
	}
	if err := report(os.Stdin, os.Stdout, known[os.Args[1]]); err != nil {
		fmt.Fprintln(os.Stderr, "vulnreport:", err)
		os.Exit(1)
	}
}

func report(in io.Reader, out io.Writer, known map[string]string) error {
	summaries, found := map[string]string{}, map[string]string{}
	scanned := false
	dec := json.NewDecoder(in)
	for {
		var m message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read govulncheck's output: %w", err)
		}
		switch {
		case m.Config != nil:
			scanned = true
		case m.OSV != nil:
			summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil && len(m.Finding.Trace) > 0 && m.Finding.Trace[0].Function != "":
			at := m.Finding.Trace[0]
			found[m.Finding.OSV] = fmt.Sprintf("%s %s, mended in %q", at.Module, at.Version, m.Finding.Fixed)
		}
	}
	if !scanned {
		return errors.New("govulncheck said nothing")
	}
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(found)) {
		why, ok := known[id]
		if !ok {
			why = "reachable"
			faults = append(faults, fmt.Errorf("%s: %s: %s", id, found[id], summaries[id]))
		}
		fmt.Fprintf(out, "%s: %s: %s\n", id, found[id], why)
	}
	for id := range known {
		if _, ok := found[id]; !ok {
			faults = append(faults, fmt.Errorf("%s is no longer found: take it off the list of those that are known", id))
		}
	}
	fmt.Fprintf(out, "%d of %d known vulnerabilities concern the modules and can be reached\n", len(found), len(summaries))
	return errors.Join(faults...)
}
