package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// maxShellOutput bounds what one shell writes, in bytes, and maxShellRows the rows
// of one result, which take ten times their text in memory where that is short.
// The longest result has a row for each column of the database.
const (
	maxShellOutput = maxReply
	maxShellRows   = 2 << 20
)

// errorText is how the text of an error begins. Some versions exit with 0, and do
// not stop, after an error in the middle of a query.
var errorText = regexp.MustCompile(`(?m)^(?:Error: )?(?:near line \d+: )?[A-Z][A-Za-z ]* Error:`)

// errorPrefix is what shells put before the engine's own text of an error.
var errorPrefix = regexp.MustCompile(`^(?:Error: )?(?:near line \d+: )?`)

// shellScript is what a shell reads: each statement on lines of its own, and
// behind the preamble and behind each query one that marks where its result
// ends. A shell prints nothing, or an empty array, for a result without rows.
func shellScript(mark string, preamble, queries []string) string {
	var b strings.Builder
	for _, stmt := range preamble {
		b.WriteString(stmt + ";\n")
	}
	end := func(n int) { fmt.Fprintf(&b, "SELECT '%s' AS mark, %d AS n;\n", mark, n) }
	end(0)
	for i, query := range queries {
		b.WriteString(query + ";\n")
		end(i + 1)
	}
	return b.String()
}

// answers are read from a shell in JSON mode: arrays of objects, one after the
// other, whose keys are the names of the columns and say nothing here.
type answers struct {
	mark    string
	queries int // how many were asked
	got     func(i int, rows [][]string) error
	next    int // queries answered; -1 before the preamble is through
	rows    [][]string

	failed   error // the first of got, nothing was handed to it since
	failedAt int
}

// read reads up to the end of stdout and refuses what no shell writes.
func (a *answers) read(stdout io.Reader) error {
	bounded := &io.LimitedReader{R: stdout, N: maxShellOutput}
	dec := json.NewDecoder(bounded)
	dec.UseNumber()
	for {
		rows, err := readArray(dec, maxShellRows-len(a.rows))
		switch {
		case err != nil && bounded.N == 0:
			return fmt.Errorf("the shell wrote more than %d bytes", maxShellOutput)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("what the shell wrote: %w", err)
		}
		if len(rows) != 1 || len(rows[0]) != 2 || rows[0][0] != a.mark {
			a.rows = append(a.rows, rows...)
			continue
		}
		if rows[0][1] != fmt.Sprint(a.next+1) {
			return fmt.Errorf("what the shell wrote: result %s in place of %d", rows[0][1], a.next+1)
		}
		if a.next >= a.queries {
			return fmt.Errorf("what the shell wrote: result %s of %d queries", rows[0][1], a.queries)
		}
		if a.next >= 0 && a.failed == nil {
			a.failed, a.failedAt = a.got(a.next, a.rows), a.next
		}
		a.next, a.rows = a.next+1, nil
	}
}

// readArray reads one array of objects as rows, NULL as an empty string. The
// error is io.EOF only where nothing begins. More rows than there is room for are
// an error.
func readArray(dec *json.Decoder, room int) ([][]string, error) {
	if err := wantDelim(dec, '['); err != nil {
		return nil, err
	}
	var rows [][]string
	for dec.More() {
		row, err := readObject(dec)
		if err != nil {
			return nil, whole(err)
		}
		if len(row) > 0 {
			rows = append(rows, row)
		}
		if len(rows) > room {
			return nil, fmt.Errorf("a result of more than %d rows", maxShellRows)
		}
	}
	return rows, whole(wantDelim(dec, ']'))
}

// readObject keeps columns of the same name apart, which a map would not.
func readObject(dec *json.Decoder) ([]string, error) {
	if err := wantDelim(dec, '{'); err != nil {
		return nil, err
	}
	var row []string
	for dec.More() {
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		value, err := cell(raw)
		if err != nil {
			return nil, err
		}
		row = append(row, value)
	}
	return row, wantDelim(dec, '}')
}

func cell(raw json.RawMessage) (string, error) {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return "", nil
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case raw[0] == '[' || raw[0] == '{':
		return "", fmt.Errorf("a value that is no scalar")
	default:
		return string(raw), nil
	}
}

func wantDelim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v in place of %v", token, want)
	}
	return nil
}

// whole makes an end inside of a value an error of its own.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// escaped is a string literal on one line, whatever the text: no line of the
// operator's SQL can be taken for a command of the shell's, no semicolon for
// the end of a statement.
func escaped(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`, "\r", `\r`).Replace(s) + "'"
}
