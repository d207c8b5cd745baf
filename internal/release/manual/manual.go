// Package manual writes the man pages of a program. Only programs that are
// built with the tag "manual" import it, so that what it needs of others is not
// in the shipped ones.
package manual

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"canvasback/internal/version"
)

// Main is the main function of a program that was built with the tag: it writes
// the man pages of root to the directory of the first argument, dated by the
// second, in seconds since 1970.
func Main(root *cobra.Command) {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s DIR SECONDS\n", root.Name())
		os.Exit(2)
	}
	seconds, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err == nil {
		err = Write(root, os.Args[1], version.String(), time.Unix(seconds, 0).UTC())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Write writes a page of section 1 for root and for every command below it to
// the directory, dated date, so that the same program has the same pages.
func Write(root *cobra.Command, dir, version string, date time.Time) error {
	count := 0
	var each func(cmd *cobra.Command) error
	each = func(cmd *cobra.Command) error {
		for _, sub := range cmd.Commands() {
			if sub.Name() == "help" || !sub.IsAvailableCommand() {
				continue
			}
			if err := each(sub); err != nil {
				return err
			}
		}
		count++
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		page, err := Page(cmd, version, date)
		if err != nil {
			return fmt.Errorf("page of %s: %w", name, err)
		}
		return os.WriteFile(filepath.Join(dir, name+".1"), page, 0o644)
	}
	if err := each(root); err != nil {
		return err
	}
	if count == 0 {
		return errors.New("no page was written")
	}
	return nil
}

// Page is the man page of one command.
func Page(cmd *cobra.Command, version string, date time.Time) ([]byte, error) {
	cmd.DisableAutoGenTag = true
	// The library takes the text for Markdown, in which a star or an underscore
	// is a mark.
	defer func(was string) { cmd.Long = was }(cmd.Long)
	cmd.Long = literal(cmd.Long)
	var page bytes.Buffer
	err := doc.GenMan(cmd, &doc.GenManHeader{
		Title: strings.ToUpper(strings.ReplaceAll(cmd.CommandPath(), " ", "-")), Section: "1",
		Date: &date, Source: "Canvasback " + version, Manual: "Canvasback",
	}, &page)
	return tidy(page.String(), date), err
}

// exitStatus is the same for all commands; that of the worker is in its text.
const exitStatus = `.SH EXIT STATUS
0 done, 1 failed, 2 wrong usage or configuration, 3 partly done or an objective
is missed, 4 the backup is bad, 5 not found, 130 interrupted.
`

// tidy makes of the library's page one that is well formed: options as tagged
// paragraphs and not behind tabs, and a date that says the day.
func tidy(page string, date time.Time) []byte {
	page = strings.NewReplacer(
		date.Format(`"Jan 2006"`), date.Format(`"2006-01-02"`),
		"OPTIONS\n\\fB-", "OPTIONS\n.TP\n\\fB-",
		"PARENT COMMANDS\n\\fB-", "PARENT COMMANDS\n.TP\n\\fB-",
		".PP\n\\fB-", ".TP\n\\fB-",
		"\n\t", "\n",
	).Replace(page)
	if i := strings.Index(page, ".SH SEE ALSO"); i >= 0 {
		return []byte(page[:i] + exitStatus + page[i:])
	}
	return []byte(strings.TrimRight(page, "\n") + "\n" + exitStatus)
}

// literal escapes what Markdown would take for a mark.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", `\<`).Replace(text)
}
