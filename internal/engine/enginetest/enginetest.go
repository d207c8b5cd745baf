// Package enginetest makes and reads real DuckDB databases for tests, always
// in child processes: an engine in the test's own process would share the
// database's POSIX lock with it and lose it. A TestMain of a package that uses
// it calls RunIfChild first.
package enginetest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
)

// childName is argv[0] of this package's children.
const childName = "canvasback-enginetest"

// RunIfChild takes over the process if it is a child of this package or of
// package engine, and never returns then.
func RunIfChild() {
	engine.RunIfChild()
	if len(os.Args) == 0 || os.Args[0] != childName {
		return
	}
	err := childMain()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// request is the first JSON value on a child's stdin.
type request struct {
	Path    string
	Key     string // of an encrypted file, empty: plain
	Cipher  string // of a new one, "GCM" or "CTR"
	Storage string // STORAGE_VERSION of a new file, empty: the engine's default
	Exec    []string
	Query   []string // each must return a single value
	Kill    bool     // die without closing the database
	Owner   *OwnerOptions
}

// Create runs SQL statements against the database file, which need not exist,
// and closes it. Closing folds the WAL unless a statement says
// "PRAGMA disable_checkpoint_on_shutdown".
func Create(t testing.TB, path string, stmts ...string) {
	t.Helper()
	call(t, request{Path: path, Exec: stmts})
}

// CreateStorage is Create with a storage version, such as "v1.5.0", for a file
// that does not exist.
func CreateStorage(t testing.TB, path, storage string, stmts ...string) {
	t.Helper()
	call(t, request{Path: path, Storage: storage, Exec: stmts})
}

// CreateKilled runs SQL statements and kills the process instead of closing
// the database, which leaves the WAL behind.
func CreateKilled(t testing.TB, path string, stmts ...string) {
	t.Helper()
	call(t, request{Path: path, Exec: stmts, Kill: true})
}

// CreateEncrypted is CreateKilled of a file that is encrypted with the key by
// the cipher "GCM" or "CTR".
func CreateEncrypted(t testing.TB, path, key, cipher string, stmts ...string) {
	t.Helper()
	call(t, request{Path: path, Key: key, Cipher: cipher, Exec: stmts, Kill: true})
}

// Query returns the single value of a query as text, NULL as "NULL". The
// database is opened read-write: a WAL beside it is folded.
func Query(t testing.TB, path, query string) string {
	t.Helper()
	return QueryAll(t, path, query)[0]
}

// QueryAll is Query for several queries in one child.
func QueryAll(t testing.TB, path string, queries ...string) []string {
	t.Helper()
	return queryAll(t, path, "", queries...)
}

func queryAll(t testing.TB, path, key string, queries ...string) []string {
	t.Helper()
	var values []string
	require.NoError(t, json.Unmarshal(call(t, request{Path: path, Key: key, Query: queries}), &values))
	require.Len(t, values, len(queries))
	return values
}

// start prepares a child for req, whose stdin is left to the caller.
func start(req *request) (*exec.Cmd, error) {
	if os.Args[0] == childName {
		return nil, errors.New("this process is a child itself: its TestMain must call enginetest.RunIfChild")
	}
	path, err := filepath.Abs(req.Path)
	if err != nil {
		return nil, err
	}
	req.Path = path
	if req.Key != "" && req.Cipher == "" {
		if req.Cipher, err = cipherOf(path); err != nil {
			return nil, err
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Args = []string{childName, filepath.Base(path)}
	return cmd, nil
}

// cipherOf is the cipher of an encrypted file that exists.
func cipherOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	h, err := duckfile.ReadOpaque(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return strings.TrimPrefix(h.Main.Encryption.Cipher.String(), "AES-256-"), nil
}

func call(t testing.TB, req request) []byte {
	t.Helper()
	cmd, err := start(&req)
	require.NoError(t, err)
	in, err := json.Marshal(req)
	require.NoError(t, err)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(in)), &stdout, &stderr
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); req.Kill && ok && status.Signal() == syscall.SIGKILL {
		return nil
	}
	require.NoError(t, err, "%s: %s", req.Path, stderr.String())
	return []byte(stdout.String())
}

func childMain() error {
	dec := json.NewDecoder(os.Stdin)
	var req request
	if err := dec.Decode(&req); err != nil {
		return err
	}
	db, err := attach(req)
	if err != nil {
		return err
	}
	if req.Owner != nil {
		err = own(db, *req.Owner, dec)
	} else {
		err = answer(db, req)
	}
	return errors.Join(err, db.Close())
}

func answer(db *sql.DB, req request) error {
	for _, stmt := range req.Exec {
		if _, err := db.Exec(stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	if req.Kill {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	values := []string{}
	for _, query := range req.Query {
		var v string
		if err := db.QueryRow("SELECT coalesce(CAST(COLUMNS(*) AS VARCHAR), 'NULL') FROM (" + query + ")").Scan(&v); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		values = append(values, v)
	}
	return json.NewEncoder(os.Stdout).Encode(values)
}

// attach opens the file under an in-memory instance from inside its directory.
// One connection only, so that session settings hold, unless it is an owner.
func attach(req request) (*sql.DB, error) {
	if err := os.Chdir(filepath.Dir(req.Path)); err != nil {
		return nil, err
	}
	quote := func(s, q string) string { return q + strings.ReplaceAll(s, q, q+q) + q }
	options := "TYPE duckdb"
	if req.Storage != "" {
		options += ", STORAGE_VERSION " + quote(req.Storage, "'")
	}
	if req.Key != "" {
		options += ", ENCRYPTION_KEY " + quote(req.Key, "'")
	}
	if req.Cipher != "" {
		options += ", ENCRYPTION_CIPHER " + quote(req.Cipher, "'")
	}
	base := filepath.Base(req.Path)
	name, _, _ := strings.Cut(base, ".")
	boot, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(boot)
	db.SetMaxOpenConns(1)
	for _, stmt := range []string{
		"SET autoinstall_known_extensions = false",
		"SET threads = 2",
		"SET force_mbedtls_unsafe = true", // writes encrypted files without OpenSSL
		fmt.Sprintf("ATTACH %s AS %s (%s)", quote(base, "'"), quote(name, `"`), options),
		"USE " + quote(name, `"`),
	} {
		if _, err := db.ExecContext(context.Background(), stmt); err != nil {
			return nil, fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return db, nil
}
