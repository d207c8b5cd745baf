package writer

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// shellMain behaves as DuckDB's command-line shell does for a script on its
// standard input, so that the engines of several versions can be asked the way
// an operator's shell is:
//
//   - a statement ends with the semicolon that ends a line's text outside of
//     quotes and comments; a line that begins with a dot where no statement has
//     begun is a command;
//   - a result is printed as one JSON array of objects, one row a line, and a
//     result without rows not at all;
//   - errors go to standard error; with -bail the first one ends it; the exit
//     status is 1 if there was one.
func shellMain(args []string, in io.Reader, out, errOut io.Writer) int {
	sh := &shell{out: bufio.NewWriter(out), errOut: errOut}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-batch":
		case "-bail":
			sh.bail = true
		case "-json":
			sh.json = true
		case "-init":
			i++
		default:
			fmt.Fprintf(errOut, "Error: unknown option: %s\n", args[i])
			return 1
		}
	}
	if !sh.json {
		fmt.Fprintln(errOut, "Error: only -json is known here")
		return 1
	}
	err := sh.run(in)
	if err != nil {
		fmt.Fprintln(errOut, err)
	}
	if err = errors.Join(err, sh.out.Flush()); err != nil || sh.failed {
		return 1
	}
	return 0
}

type shell struct {
	conn   *sql.Conn
	out    *bufio.Writer
	errOut io.Writer
	bail   bool
	json   bool
	failed bool
}

func (s *shell) run(in io.Reader) (err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if s.conn, err = db.Conn(context.Background()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.conn.Close()) }()
	lines := bufio.NewReader(in)
	statement := ""
	for !s.failed || !s.bail {
		line, readErr := lines.ReadString('\n')
		if statement == "" && strings.HasPrefix(line, ".") {
			s.fail(fmt.Errorf("unknown command: %s", line))
			continue
		}
		if statement += line; complete(statement) {
			s.execute(statement)
			statement = ""
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return readErr
		}
	}
	if strings.TrimSpace(statement) != "" && (!s.failed || !s.bail) {
		s.execute(statement)
	}
	return nil
}

// complete tells whether the text ends with a semicolon that is outside of
// quotes and comments.
func complete(text string) bool {
	ends := false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		closing := ""
		switch {
		case text[i] == ';':
			ends = true
			continue
		case strings.ContainsRune(" \t\r\n", rune(text[i])):
			continue
		case strings.HasPrefix(rest, "--"):
			closing = "\n"
		case strings.HasPrefix(rest, "/*"):
			closing = "*/"
		case text[i] == '\'' || text[i] == '"' || text[i] == '`':
			closing, ends = rest[:1], false
		case text[i] == '[':
			closing, ends = "]", false
		default:
			ends = false
			continue
		}
		end := strings.Index(rest[1:], closing)
		if end < 0 {
			return false
		}
		i += end + len(closing)
	}
	return ends
}

func (s *shell) fail(err error) {
	s.failed = true
	_ = s.out.Flush()
	fmt.Fprintln(s.errOut, err)
}

func (s *shell) execute(statement string) {
	rows, err := s.conn.QueryContext(context.Background(), statement)
	if err == nil {
		err = errors.Join(s.print(rows), rows.Close())
	}
	if err != nil {
		s.fail(err)
	}
}

func (s *shell) print(rows *sql.Rows) error {
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	printed := false
	for rows.Next() {
		values, targets := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		begin := "[{"
		if printed {
			begin = ",\n{"
		}
		_, _ = s.out.WriteString(begin)
		printed = true
		for i, v := range values {
			if i > 0 {
				_ = s.out.WriteByte(',')
			}
			_, _ = fmt.Fprintf(s.out, "%s:%s", jsonText(names[i]), jsonValue(v))
		}
		_ = s.out.WriteByte('}')
	}
	if printed {
		_, _ = s.out.WriteString("]\n")
	}
	return rows.Err()
}

func jsonValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return jsonText(v)
	case bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, *big.Int:
		return fmt.Sprint(v)
	default:
		return jsonText(fmt.Sprint(v))
	}
}

func jsonText(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}
