package cli

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// colour is an ANSI sequence that begins one; empty: none.
type colour string

const (
	plain  colour = ""
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	dim    colour = "\x1b[2m"
	bold   colour = "\x1b[1m"

	reset = "\x1b[0m"
)

// cell is one of a table.
type cell struct {
	text string
	colour
}

// painter writes tables, in colours where they show.
type painter struct {
	w       io.Writer
	colours bool
}

// painter writes to standard output, with colours if that is a terminal and
// NO_COLOR does not say otherwise.
func (a *app) painter(w io.Writer) painter {
	return painter{w, isTerminal(a.out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p painter) paint(c cell) string {
	if !p.colours || c.colour == plain || c.text == "" {
		return c.text
	}
	return string(c.colour) + c.text + reset
}

// table writes a header and rows in columns that are as wide as their widest
// cell.
func (p painter) table(header []string, rows [][]cell) error {
	widths := make([]int, len(header))
	head := make([]cell, len(header))
	for i, name := range header {
		widths[i], head[i] = utf8.RuneCountInString(name), cell{name, bold}
	}
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var out strings.Builder
	for _, row := range append([][]cell{head}, rows...) {
		var line strings.Builder
		gap := 0
		for i, c := range row {
			if c.text != "" {
				line.WriteString(strings.Repeat(" ", gap) + p.paint(c))
				gap = 0
			}
			gap += widths[i] - utf8.RuneCountInString(c.text) + 2
		}
		out.WriteString(line.String() + "\n")
	}
	_, err := io.WriteString(p.w, out.String())
	return err
}
