package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// RunTest starts a child for a request that only test binaries know.
func RunTest(ctx context.Context, kind, path string, timeout time.Duration) error {
	_, err := run(ctx, request{Kind: kind, Path: path}, timeout, nil)
	return err
}

// AddTestRequests teaches children of the test binary to fail.
func AddTestRequests() {
	add := func(kind string, f func(out *replies)) {
		handlers[kind] = func(_ context.Context, _ request, out *replies) (*ScanReport, error) {
			f(out)
			return &ScanReport{}, nil
		}
	}
	add("kill", func(*replies) { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) })
	add("term", func(*replies) { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM); time.Sleep(time.Hour) })
	add("segv", func(*replies) { _ = syscall.Kill(os.Getpid(), syscall.SIGSEGV); time.Sleep(time.Hour) })
	add("abort", func(*replies) { _ = syscall.Kill(os.Getpid(), syscall.SIGABRT); time.Sleep(time.Hour) })
	add("bad_alloc", func(*replies) {
		fmt.Fprintln(os.Stderr, "terminate called after throwing an instance of 'std::bad_alloc'")
		_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
		time.Sleep(time.Hour)
	})
	add("no thread", func(*replies) {
		fmt.Fprintln(os.Stderr, "runtime/cgo: pthread_create failed: Resource temporarily unavailable")
		_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
		time.Sleep(time.Hour)
	})
	add("go memory", func(*replies) {
		const limit = 4 << 30 // address space, in bytes
		if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			panic(err)
		}
		fmt.Println(len(make([]byte, limit)))
	})
	add("panic", func(*replies) { panic("the engine gave up") })
	add("exit", func(*replies) { os.Exit(0) })
	add("status", func(out *replies) { _ = out.send(reply{Report: &ScanReport{}}); os.Exit(3) })
	add("hang", func(*replies) { time.Sleep(time.Hour) })
	add("garbage", func(out *replies) { fmt.Fprintln(out.w, "Segmentation fault"); time.Sleep(time.Hour) })
	add("long line", func(out *replies) {
		text := strings.Repeat("x", 1<<20)
		for range maxReply>>20 + 1 {
			fmt.Fprint(out.w, text)
		}
		time.Sleep(time.Hour)
	})
	add("progress", func(out *replies) {
		for out.send(reply{Progress: &tableProgress{Done: 1, Total: 2}}) == nil {
		}
	})
	add("twice", func(out *replies) { _ = out.send(reply{Report: &ScanReport{}}) })
	add("chatty", func(*replies) { fmt.Println("a library talks on stdout") })
	add("flood", func(*replies) {
		for range 100_000 {
			fmt.Fprintln(os.Stderr, "error error error error error error error error")
		}
		os.Exit(1)
	})
	handlers["environ"] = func(context.Context, request, *replies) (*ScanReport, error) {
		return nil, &childError{Class: classSetup, Text: fmt.Sprint(os.Environ())}
	}
	handlers["pid"] = func(_ context.Context, req request, out *replies) (*ScanReport, error) {
		if err := os.WriteFile(req.Path, []byte(fmt.Sprint(os.Getpid())), 0o600); err != nil {
			return nil, err
		}
		time.Sleep(time.Hour)
		return nil, errors.New("nobody killed the child")
	}
}

// ClassOf is the class of an engine's error with the text.
func ClassOf(text string) string { return classify(errors.New(text)).Class }

// EncodeType is the expression that renders a value x of the type.
func EncodeType(text, x string) (string, error) {
	t, err := parseType(text)
	if err != nil {
		return "", err
	}
	return concat(encoder{}.args(t, x, 0)), nil
}

// IndexKind is the kind of an index that a statement of the catalog makes.
func IndexKind(sql string) string { return indexKind(sql) }

// ParquetName names a table's file.
func ParquetName(schema, base string) string { return parquetName(schema, base) }
