package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"canvasback/internal/duckfile"
)

// shell asks a DuckDB command-line shell that the operator names, in place of
// the engine that is linked into this program. Every batch of queries is a
// process of its own, which gets the whole script on stdin: nothing is assumed
// of when a shell writes out what it has. The script goes where only the child
// reads it, since it may hold a key.
type shell struct {
	program  program
	path     string // of the database, absolute
	alias    string
	limits   limits
	readOnly bool
	version  string          // "v1.4.1"
	signed   bool            // see encoder
	settings map[string]bool // that the shell knows, lower-case
	loaded   map[string]bool // extensions, lower-case
}

// maxVersion bounds what a shell may say of its version, in bytes: it goes into
// the manifest.
const maxVersion = 100

// scanShell is Scan with the shell of req.Command.
func scanShell(ctx context.Context, req ScanRequest) (*ScanReport, error) {
	ctx, cancel := limited(ctx, req.Timeout)
	defer cancel()
	s := &shell{
		path: req.Path, alias: alias(req.Path), readOnly: !req.ReadWrite,
		limits: limits{TempDir: req.TempDir, MemoryLimit: req.MemoryLimit, Threads: req.Threads, Key: req.Key, Cipher: req.Cipher},
	}
	var err error
	if s.program, err = shellProgram(req.Command, req.TempDir); err != nil {
		return nil, err
	}
	if err := s.probe(ctx); err != nil {
		return nil, err
	}
	if err := s.decrypts(); err != nil {
		return nil, err
	}
	report, err := s.scan(ctx, req)
	var answer *childError
	if errors.As(err, &answer) {
		return nil, asChildError(err).err(req.Path)
	}
	return report, err
}

// scan does what scanChild does.
func (s *shell) scan(ctx context.Context, req ScanRequest) (*ScanReport, error) {
	r := &reader{asker: s, alias: s.alias, encoder: encoder{arrow: s.before(1, 3), signed: s.signed}, extensions: s.loaded, progress: func(done, total int) error {
		if req.Progress != nil {
			req.Progress(done, total)
		}
		return nil
	}}
	if err := s.checkMacros(ctx, r); err != nil {
		return nil, err
	}
	report := &ScanReport{Engine: s.version, Tables: []Table{}, Missing: r.missing}
	if len(report.Missing) == 0 {
		var err error
		if report, err = r.read(ctx, req.Level); err != nil {
			return nil, err
		}
	}
	report.Engine = fmt.Sprintf("%s (%s)", report.Engine, req.Command[0])
	if len(report.Missing) > 0 {
		return report, nil
	}
	if req.ReadWrite {
		if _, err := r.rows(ctx, "CHECKPOINT "+quoteName(s.alias)); err != nil {
			return nil, err
		}
		s.readOnly = true
		if err := r.sameRows(ctx, report.Tables); err != nil {
			return nil, err
		}
	}
	for _, a := range req.Assertions {
		result, err := s.assertion(ctx, a)
		if err != nil {
			return nil, err
		}
		report.Assertions = append(report.Assertions, result)
	}
	return report, nil
}

// shellProgram finds the command and adds what makes it read a script of us and
// nothing else. Its environment is empty but for a home that holds nothing.
func shellProgram(command []string, tempDir string) (program, error) {
	if len(command) == 0 || command[0] == "" {
		return program{}, errors.New("engine: the command of the engine is empty")
	}
	exe, err := exec.LookPath(command[0])
	if err == nil {
		exe, err = filepath.Abs(exe)
	}
	if err != nil {
		return program{}, fmt.Errorf("engine: the command of the engine: %w", err)
	}
	home := tempDir
	if home == "" {
		home = "/nonexistent"
	}
	return program{
		exe: exe, dir: tempDir,
		args: slices.Concat(command, []string{"-batch", "-bail", "-init", "/dev/null", "-json"}),
		env:  append(childEnv(), "HOME="+home, "PATH=/usr/local/bin:/usr/bin:/bin"),
	}, nil
}

// probe asks the shell what it is. It is shown no database yet: whatever goes
// wrong is no verdict on one.
func (s *shell) probe(ctx context.Context) error {
	var version [][]string
	s.settings, s.loaded = map[string]bool{}, map[string]bool{}
	queries := []string{"SELECT version()", "SELECT typeof(md5_number(''))", "SELECT name FROM duckdb_settings()", "SELECT extension_name FROM duckdb_extensions() WHERE loaded"}
	_, err := s.talk(ctx, nil, queries, func(i int, rows [][]string) error {
		for _, row := range rows {
			switch {
			case len(row) != 1:
				return fmt.Errorf("an answer of %d columns", len(row))
			case i == 0:
				version = rows
			case i == 1:
				s.signed = row[0] == "HUGEINT"
			case i == 2:
				s.settings[strings.ToLower(row[0])] = true
			default:
				s.loaded[strings.ToLower(row[0])] = true
			}
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return ended(ctx, s.path)
	case err != nil:
		return fmt.Errorf("engine: %s is no DuckDB command-line shell that can be used: %v", s.program.exe, err)
	case len(version) != 1 || len(version[0][0]) > maxVersion:
		return fmt.Errorf("engine: %s does not say its version", s.program.exe)
	}
	s.version = version[0][0]
	if s.before(1, 1) {
		return fmt.Errorf("engine: %s is DuckDB %s: 1.1 or newer is needed", s.program.exe, s.version)
	}
	for _, name := range []string{"enable_external_access", "lock_configuration"} {
		if !s.settings[name] {
			return fmt.Errorf("engine: %s, DuckDB %s, has no setting %s", s.program.exe, s.version, name)
		}
	}
	return nil
}

// decrypts refuses an encrypted file that the shell's version is too old for: it
// would take it for a damaged one.
func (s *shell) decrypts() error {
	if s.limits.Key == "" {
		return nil
	}
	f, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	h, err := duckfile.ReadOpaque(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("engine: %s: %w", s.path, err)
	}
	minor := 4
	if h.Main.Encryption.Version > 0 {
		minor = 5
	}
	if s.before(1, minor) {
		return fmt.Errorf("%w %s: its encryption needs DuckDB 1.%d or newer, %s is %s", ErrTooNew, s.path, minor, s.program.exe, s.version)
	}
	return nil
}

// preamble opens the database as a session does, with those settings that this
// version has. path is the statement that says where names are looked up.
func (s *shell) preamble(path string) []string {
	var stmts []string
	for _, stmt := range append(settings(s.limits), "SET TimeZone = 'UTC'") {
		name, _, _ := strings.Cut(strings.TrimPrefix(stmt, "SET "), " ")
		if s.settings[strings.ToLower(name)] {
			stmts = append(stmts, stmt)
		}
	}
	mode := "READ_ONLY"
	if !s.readOnly {
		// Only an explicit checkpoint shall fold the WAL.
		stmts = append(stmts, "PRAGMA disable_checkpoint_on_shutdown")
		mode = "READ_WRITE"
	}
	if s.limits.Key != "" {
		if s.settings["force_mbedtls_unsafe"] && !s.readOnly {
			stmts = append(stmts, "SET force_mbedtls_unsafe = true")
		}
		mode += encryption(s.limits)
	}
	return append(stmts,
		fmt.Sprintf("ATTACH %s AS %s (TYPE duckdb, %s)", quoteText(s.path), quoteName(s.alias), mode),
		path,
		// From here on expressions that come from the file or the operator run.
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	)
}

func (s *shell) ask(ctx context.Context, queries []string, got func(i int, rows [][]string) error) (int, error) {
	if len(queries) == 0 {
		return 0, nil
	}
	return s.talk(ctx, s.preamble(s.lookup()), queries, got)
}

// fatal is true of everything but an error that the shell reported.
func (s *shell) fatal(err error) bool {
	var answer *childError
	return !errors.As(err, &answer)
}

// talk runs one shell: the preamble, then the queries. It returns the number of
// queries that were answered; an error that the shell reports is a childError.
func (s *shell) talk(ctx context.Context, preamble, queries []string, got func(i int, rows [][]string) error) (int, error) {
	mark := rand.Text()
	script := shellScript(mark, preamble, queries)
	answers := &answers{mark: mark, queries: len(queries), got: got, next: -1}
	end, err := launch(ctx, s.path, s.program, func(stdin io.WriteCloser, stdout io.Reader) error {
		// A shell that ends before it has read everything is judged by its end.
		go func() {
			_, _ = io.WriteString(stdin, script)
			_ = stdin.Close()
		}()
		return answers.read(stdout)
	})
	if err != nil {
		return 0, err
	}
	if s.limits.Key != "" && end.stderr.dropped > 0 {
		end.stderr = &headTail{head: []byte("(too long to look for the key in it)")}
	}
	at := max(answers.next, 0)
	if answers.failed != nil {
		at = answers.failedAt
	}
	said := errorText.MatchString(end.stderr.String()) || end.state.ExitCode() > 0 && strings.Contains(end.stderr.String(), "Error")
	switch {
	case end.ok() && !said && answers.failed == nil && answers.next == len(queries):
		return len(queries), nil
	case ctx.Err() == nil && end.talkErr == nil && end.state.ExitCode() >= 0 && end.state.ExitCode() < 126 && said:
		text := withoutKey(errors.New(strings.TrimSpace(end.stderr.String())), s.limits.Key).Error()
		c := classify(errors.New(errorPrefix.ReplaceAllString(text, "")))
		return at, c
	default:
		// What answered with something else than was asked is no engine.
		end.talkErr = errors.Join(end.talkErr, answers.failed)
		return at, withoutKey(end.verdict(ctx, s.path), s.limits.Key)
	}
}

// assertion asks one of the operator's queries in a shell of its own.
func (s *shell) assertion(ctx context.Context, a Assertion) (AssertionResult, error) {
	result := AssertionResult{Name: a.Name}
	own := ctx
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		own, cancel = context.WithTimeoutCause(ctx, a.Timeout, fmt.Errorf("%w after %s", errNoResult, a.Timeout))
		defer cancel()
	}
	var rows [][]string
	_, err := s.talk(own, s.preamble("USE "+quoteName(s.alias)), []string{assertionQuery(a)}, func(_ int, got [][]string) error { rows = got; return nil })
	switch {
	case ctx.Err() != nil:
		return result, err
	case own.Err() != nil:
		result.setError(context.Cause(own))
		return result, nil
	case err != nil && s.fatal(err):
		return result, err
	case err != nil:
		result.setError(err)
		return result, nil
	}
	result.judge(rows, a.Expect)
	return result, nil
}
