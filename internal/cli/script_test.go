package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	testscript.Main(m, map[string]func(){
		"starter":           func() { os.Exit(mainOf(os.Args[1:])) },
		"starter-as-nobody": func() { os.Exit(asNobody()) },
	})
}

func mainOf(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return Main(ctx, args, os.Stdin, os.Stdout, os.Stderr)
}

// asNobody gives up root before it runs the starter, so that permissions mean
// something. Without root they do anyway.
func asNobody() int {
	if os.Getuid() == 0 {
		for _, err := range []error{syscall.Setgroups(nil), syscall.Setgid(65534), syscall.Setuid(65534)} {
			if err != nil {
				fmt.Fprintln(os.Stderr, "give up root:", err)
				return 99
			}
		}
	}
	return mainOf(os.Args[1:])
}

// TestScripts runs the command as its users do: arguments in, standard output,
// standard error, exit status and files out. Every script has $DB, a folder of
// databases good and bad, and a repository of its own in $WORK/repo.
func TestScripts(t *testing.T) {
	fixtures := t.TempDir()
	require.NoError(t, os.Chmod(fixtures, 0o755))
	makeDatabases(t, filepath.Join(fixtures, "db"))
	makeInspected(t, filepath.Join(fixtures, "db"))
	ids := makeRepository(t, filepath.Join(fixtures, "repo"))
	live := filepath.Join(fixtures, "live", "live.duckdb")
	require.NoError(t, os.Mkdir(filepath.Dir(live), 0o755))
	enginetest.StartOwner(t, live, enginetest.OwnerOptions{})

	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DB", filepath.Join(fixtures, "db"))
			env.Setenv("LIVE", live)
			for i, id := range ids {
				env.Setenv("ID"+strconv.Itoa(i+1), id)
			}
			// Whoever is not root must get as far as the files themselves.
			for dir := env.WorkDir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					return err
				}
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "repo"), os.DirFS(filepath.Join(fixtures, "repo")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":  status,
			"json":    jsonValue,
			"flip":    flip,
			"capture": capture,
			"sql":     sqlValue(t),
			"private": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(os.Chmod(ts.MkAbs(args[0]), 0)) },
			"tiny":    tiny,
		},
	})
}

// status N COMMAND ARGS... runs the command, which must exit with N.
func status(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// json PATH WANT... holds standard output to be one JSON document whose value
// at each path ("tables.0.rows") is as wanted; "PATH.len" is a length.
func jsonValue(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 || len(args)%2 != 0 {
		ts.Fatalf("usage: json PATH WANT...")
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	var doc any
	ts.Check(dec.Decode(&doc))
	if err := dec.Decode(new(any)); err != io.EOF {
		ts.Fatalf("more than one document on standard output: %v", err)
	}
	for ; len(args) >= 2; args = args[2:] {
		at := doc
		for _, key := range strings.Split(args[0], ".") {
			at = child(at, key)
		}
		if got := fmt.Sprint(at); got != args[1] {
			ts.Fatalf("%s is %q, want %q", args[0], got, args[1])
		}
	}
}

func child(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		if value, ok := v[key]; ok {
			return value
		}
	case []any:
		if key == "len" {
			return len(v)
		}
		if i, err := strconv.Atoi(key); err == nil && i < len(v) {
			return v[i]
		}
	}
	return "missing"
}

// capture NAME PATTERN sets the variable to what the first group matches in
// standard output.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// flip FILE OFFSET inverts one byte.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	off, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[off] ^= 0xff
	ts.Check(os.WriteFile(path, data, 0o600))
}

// sqlValue makes the command sql FILE QUERY WANT.
func sqlValue(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		if got := enginetest.Query(t, ts.MkAbs(args[0]), args[1]); got != args[2] {
			ts.Fatalf("%s of %s is %q, want %q", args[1], args[0], got, args[2])
		}
	}
}

// tiny DIR mounts a file system of 64 KiB.
func tiny(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(mountTiny(dir))
	ts.Defer(func() { ts.Check(unmount(dir)) })
}

// run calls Main in this process.
func run(t *testing.T, ctx context.Context, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = Main(ctx, args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}
