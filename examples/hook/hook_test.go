package hook

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	token = "0123456789abcdef0123456789abcdef"
	other = "ffffffffffffffffffffffffffffffff"
)

func newHook(t *testing.T, e *engine, db *sql.DB, options Options) *Hook {
	t.Helper()
	if options.Renew == 0 {
		options.Renew = time.Hour
	}
	h := New(db, options)
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// send makes one request and returns the status and the decoded answer.
func send(ctx context.Context, h http.Handler, method, path, body string) (int, map[string]any) {
	r := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(ctx)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer map[string]any
	_ = json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&answer)
	return w.Code, answer
}

func post(t *testing.T, h http.Handler, path, body string, wantCode int, wantError string) map[string]any {
	t.Helper()
	code, answer := send(context.Background(), h, "POST", path, body)
	text, _ := answer["error"].(string)
	if code != wantCode || !strings.Contains(text, wantError) || wantError == "" && text != "" {
		t.Fatalf("POST %s %s: got %d %v, want %d and %q", path, body, code, answer, wantCode, wantError)
	}
	return answer
}

func body(token string, seconds string) string {
	return `{"token":"` + token + `","deadline_seconds":` + seconds + `}`
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %#v\nwant %#v", got, want)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never was so: %s", what)
		}
	}
}

func TestHoldBeginsAndEnds(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{})
	answer := post(t, h, "/begin", body(token, "600"), 200, "")
	equal(t, answer, map[string]any{"token": token, "engine_version": "1.5.6", "deadline_seconds": 600.0})
	_, status := send(context.Background(), h, "GET", "/status", "")
	equal(t, status["holding"], true)
	post(t, h, "/begin", body(other, "600"), 409, "another hold is active")
	post(t, h, "/end", body(other, "0"), 410, "no such hold")
	post(t, h, "/checkpoint", "", 503, "not now: Cannot CHECKPOINT")
	post(t, h, "/end", `{"token":"`+token+`"}`, 200, "")
	equal(t, e.statements(), []string{
		`1 BEGIN TRANSACTION`,
		`1 CREATE TABLE "sh""op".main.__canvasback_hold_` + token + `_1(i INTEGER)`,
		`2 CHECKPOINT "sh""op"`,
		`1 ROLLBACK`,
	})
	post(t, h, "/end", body(token, "0"), 410, "that hold is over: it was ended")
	_, status = send(context.Background(), h, "GET", "/status", "")
	equal(t, status, map[string]any{"holding": false, "engine_version": "1.5.6"})
	post(t, h, "/begin", body(other, "600"), 200, "")
	post(t, h, "/end", body(other, "0"), 200, "")
}

func TestHoldExpires(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{MaxHold: time.Second})
	answer := post(t, h, "/begin", body(token, "600"), 200, "")
	equal(t, answer["deadline_seconds"], 1.0)
	eventually(t, "the hold is rolled back", func() bool { return e.statements()[len(e.statements())-1] == "1 ROLLBACK" })
	post(t, h, "/end", body(token, "0"), 410, "that hold is over: it expired at ")
	post(t, h, "/checkpoint", "", 200, "")
}

func TestRollbackFails(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{})
	post(t, h, "/begin", body(token, "600"), 200, "")
	e.set(func() { e.fail["ROLLBACK"] = errors.New("connection lost") })
	post(t, h, "/end", body(token, "0"), 410, "the hold could not be rolled back: connection lost")
	log := e.statements()
	equal(t, log[len(log)-1], "1 closed")
	e.set(func() { delete(e.fail, "ROLLBACK") })
	post(t, h, "/begin", body(other, "600"), 200, "")
	post(t, h, "/end", body(other, "0"), 200, "")
}

// Each transaction of a hold is rolled back after the next one has begun.
func TestHoldIsRenewed(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{Renew: time.Millisecond})
	post(t, h, "/begin", body(token, "600"), 200, "")
	eventually(t, "it is renewed", func() bool { return len(e.statements()) > 30 })
	log := e.statements() // before the end, after which a renewal may still come and go
	post(t, h, "/end", body(token, "0"), 200, "")
	begun, open := map[string]bool{}, 0
	for i, line := range log {
		switch _, statement, _ := strings.Cut(line, " "); {
		case strings.HasPrefix(statement, "CREATE"):
			if begun[statement] {
				t.Fatalf("the name is used again: %s", statement)
			}
			begun[statement] = true
			open++
		case statement == "ROLLBACK":
			open--
		}
		if open == 0 && len(begun) > 0 {
			t.Fatalf("nothing is held after %d of %q", i, log)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	open = 0
	for _, line := range e.statements() {
		switch _, statement, _ := strings.Cut(line, " "); {
		case strings.HasPrefix(statement, "CREATE"):
			open++
		case statement == "ROLLBACK":
			open--
		}
	}
	equal(t, open, 0)
}

func TestRenewalFails(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{Renew: time.Millisecond})
	post(t, h, "/begin", body(token, "600"), 200, "")
	e.set(func() { e.fail["CREATE"] = errors.New("not now") })
	tried := len(e.statements())
	eventually(t, "it is tried again", func() bool { return len(e.statements()) > tried+20 })
	post(t, h, "/end", body(token, "0"), 200, "")

	e.set(func() { delete(e.fail, "CREATE") })
	post(t, h, "/begin", body(other, "600"), 200, "")
	e.set(func() { e.fail["ROLLBACK"] = errors.New("connection lost") })
	tried = len(e.statements())
	eventually(t, "it is renewed", func() bool { return len(e.statements()) > tried+4 })
	e.set(func() { delete(e.fail, "ROLLBACK") })
	post(t, h, "/end", body(other, "0"), 410, "the hold could not be rolled back: connection lost")
}

// An end does not wait for a renewal that cannot begin.
func TestEndDuringARenewal(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{Renew: time.Millisecond})
	post(t, h, "/begin", body(token, "600"), 200, "")
	e.set(func() { e.block["CREATE"] = make(chan struct{}) })
	<-e.started
	post(t, h, "/end", body(token, "0"), 200, "")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBeginFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*engine, *sql.DB)
		code   int
		want   string
	}{
		{"CREATE fails", func(e *engine, _ *sql.DB) { e.fail["CREATE"] = errors.New("read-only") }, 500, "create the table of the hold: read-only"},
		{"BEGIN fails", func(e *engine, _ *sql.DB) { e.fail["BEGIN"] = errors.New("invalidated") }, 500, "begin: invalidated"},
		{"two databases", func(e *engine, _ *sql.DB) { e.databases = 2 }, 500, "2 database files are attached for writing"},
		{"a pool of one", func(_ *engine, db *sql.DB) { db.SetMaxOpenConns(1) }, 503, "the pool is of one connection"},
		{"the checkpoint lasts", func(e *engine, _ *sql.DB) { e.block["CREATE"] = make(chan struct{}) }, 503, "the hold could not begin within 50ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEngine()
			db := e.pool(t)
			test.change(e, db)
			h := newHook(t, e, db, Options{Wait: 50 * time.Millisecond})
			post(t, h, "/begin", body(token, "600"), test.code, test.want)
			post(t, h, "/end", body(token, "0"), 410, "no such hold")
			e.set(func() {
				if len(e.holding) > 0 {
					t.Error("a transaction stays open")
				}
			})
		})
	}
}

func TestPoolIsExhausted(t *testing.T) {
	e := newEngine()
	db := e.pool(t)
	db.SetMaxOpenConns(2)
	for range 2 {
		c, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	h := newHook(t, e, db, Options{Wait: 20 * time.Millisecond})
	for _, path := range []string{"/begin", "/checkpoint"} {
		post(t, h, path, body(token, "600"), 503, "the pool has had no connection free for 20ms")
	}
}

// A client that goes away while its hold begins leaves no hold behind.
func TestBeginIsGivenUp(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{})
	release := make(chan struct{})
	e.block["CREATE"] = release
	for name, giveUp := range map[string]func(cancel func()){
		"client leaves": func(cancel func()) { cancel() },
		"end arrives":   func(func()) { post(t, h, "/end", body(token, "0"), 410, "that hold had not begun") },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			code := make(chan int)
			go func() {
				c, _ := send(ctx, h, "POST", "/begin", body(token, "600"))
				code <- c
			}()
			<-e.started
			post(t, h, "/begin", body(other, "600"), 409, "another hold is active")
			giveUp(cancel)
			equal(t, <-code, 500)
			log := e.statements()
			equal(t, log[len(log)-1], "1 ROLLBACK")
		})
	}
	close(release)
}

func TestCheckpoint(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{Catalog: "main"})
	post(t, h, "/checkpoint", "", 200, "")
	equal(t, e.statements(), []string{`1 CHECKPOINT "main"`})
	e.set(func() { e.holding[99] = true })
	post(t, h, "/checkpoint", "", 503, "not now: Cannot CHECKPOINT")
	e.set(func() { delete(e.holding, 99); e.fail["CHECKPOINT"] = errors.New("disk full") })
	post(t, h, "/checkpoint", "", 500, "disk full")
}

func TestClose(t *testing.T) {
	e := newEngine()
	h := New(e.pool(t), Options{})
	post(t, h, "/begin", body(token, "600"), 200, "")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	log := e.statements()
	equal(t, log[len(log)-1], "1 ROLLBACK")
	for _, path := range []string{"/begin", "/end", "/checkpoint"} {
		post(t, h, path, body(token, "600"), 503, "the service is stopping")
	}

	e = newEngine()
	h = New(e.pool(t), Options{})
	e.block["CREATE"] = make(chan struct{})
	code := make(chan int, 1)
	go func() {
		c, _ := send(context.Background(), h, "POST", "/begin", body(token, "600"))
		code <- c
	}()
	<-e.started
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, <-code, 500)
	log = e.statements()
	equal(t, log[len(log)-1], "1 ROLLBACK")
}

func TestBadRequests(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{})
	for _, test := range []struct{ path, body, want string }{
		{"/begin", "", "the body is not the JSON that is wanted"},
		{"/begin", body(token, "1") + "{}", "the body is not the JSON that is wanted"},
		{"/begin", `{"token":"` + strings.Repeat("a", 5000) + `"}`, "the body is not the JSON that is wanted"},
		{"/begin", body("x); DROP TABLE t; --", "600"), "token must be 32 hexadecimal digits"},
		{"/begin", body(token, "0"), "deadline_seconds must be at least 1"},
		{"/end", `{}`, "token must be 32 hexadecimal digits"},
	} {
		post(t, h, test.path, test.body, 400, test.want)
	}
	r := httptest.NewRequest("POST", "/checkpoint", nil)
	r.Header.Set("Origin", "http://evil.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	equal(t, w.Code, 403)
	code, _ := send(context.Background(), h, "GET", "/begin", "")
	equal(t, code, 405)
	equal(t, e.statements(), []string{})
}

// Many at once: whoever was told of a hold has it, and none is left.
func TestConcurrently(t *testing.T) {
	e := newEngine()
	h := newHook(t, e, e.pool(t), Options{Renew: 100 * time.Microsecond})
	var all sync.WaitGroup
	for i := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			mine := strings.Repeat("0123456789abcdef"[i:i+1], 32)
			for range 50 {
				code, answer := send(context.Background(), h, "POST", "/begin", body(mine, "600"))
				switch code {
				case 200:
					e.set(func() {
						if len(e.holding) == 0 {
							t.Error("nothing is held during a hold")
						}
					})
					if code, answer = send(context.Background(), h, "POST", "/end", body(mine, "0")); code != 200 {
						t.Errorf("end: %d %v", code, answer)
					}
				case 409:
				default:
					t.Errorf("begin: %d %v", code, answer)
				}
				send(context.Background(), h, "GET", "/status", "")
				send(context.Background(), h, "POST", "/checkpoint", "")
			}
		}()
	}
	all.Wait()
}
