package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzReply reads any line of a child: one that is taken is written and read again
// as the same, and it is of one kind.
func FuzzReply(f *testing.F) {
	for _, r := range []reply{
		{Progress: &tableProgress{1, 2}}, {Error: &childError{classRejected, "no"}},
		{Report: &ScanReport{Engine: "v1.5.6", Tables: []Table{{"main.a", 1, "00"}}}},
	} {
		line, err := json.Marshal(r)
		require.NoError(f, err)
		f.Add(line)
	}
	f.Add([]byte(`{"report":{},"error":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseReply(line)
		if err != nil {
			return
		}
		text, err := json.Marshal(r)
		require.NoError(t, err)
		again, err := parseReply(text)
		require.NoError(t, err)
		require.Equal(t, again, r)
		if r.Error != nil {
			require.Error(t, r.Error.err("/x"))
		}
	})
}

// FuzzReplies reads any output of a child: there is an answer only where one line
// of all was the answer.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("{\"progress\":{\"done\":0,\"total\":1}}\n{\"report\":{\"engine\":\"v1\"}}\n"))
	f.Add([]byte("{\"report\":{}}\n{\"report\":{}}\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		var to bytes.Buffer
		last, err := converse(&to, bytes.NewReader(out), request{Kind: kindScan}, func(int, int) {})
		if err != nil {
			require.Nil(t, last)
			return
		}
		answers := 0
		for line := range bytes.Lines(out) {
			r, err := parseReply(bytes.TrimRight(line, "\r\n"))
			require.NoError(t, err)
			if r.Progress == nil {
				answers++
			}
		}
		require.Equal(t, last != nil, answers == 1)
	})
}

// FuzzRequest reads any request that a child may get: one that is taken is written
// and read again as the same.
func FuzzRequest(f *testing.F) {
	line, err := json.Marshal(request{Kind: kindScan, Path: "/x", Scan: &ScanRequest{Path: "/x", Level: LevelFull, Assertions: []Assertion{{"a", "SELECT 1", "1", time.Second}}}})
	require.NoError(f, err)
	f.Add(line)
	f.Fuzz(func(t *testing.T, line []byte) {
		var req, again request
		if json.Unmarshal(line, &req) != nil {
			return
		}
		text, err := json.Marshal(req)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &again))
		back, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(back))
	})
}

// FuzzShellOutput reads any output of a shell that was asked two queries: no more
// is handed on than was asked and written.
func FuzzShellOutput(f *testing.F) {
	f.Add([]byte(`[{"mark":"M","n":0}][{"a":1}][{"mark":"M","n":1}][{"mark":"M","n":2}]`))
	f.Add([]byte(`[{"mark":"M","n":0}][{"mark":"M","n":1}][{"mark":"M","n":2}][{"mark":"M","n":3}]`))
	f.Add([]byte(`[{"a":"x","a":null},{}]`))
	f.Fuzz(func(t *testing.T, out []byte) {
		cells, results := 0, 0
		a := &answers{mark: "M", queries: 2, next: -1, got: func(i int, rows [][]string) error {
			require.Equal(t, results, i)
			results++
			for _, row := range rows {
				cells += len(row)
			}
			return nil
		}}
		err := a.read(bytes.NewReader(out))
		require.LessOrEqual(t, results, 2)
		require.LessOrEqual(t, cells, len(out))
		require.LessOrEqual(t, a.next, 2)
		if err == nil {
			require.Equal(t, max(a.next, 0), results)
		}
	})
}

// FuzzClassify sorts any text of an engine: the class is one of those that the
// parent knows, and the text stays bounded.
func FuzzClassify(f *testing.F) {
	f.Add("IO Error: Trying to read a database file with version number 99, but we can only read versions between 64 and 68")
	f.Add("Out of Memory Error: no")
	f.Add(strings.Repeat("No space left on device ", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		c := classify(errors.New(text))
		require.Contains(t, []string{classRejected, classTooNew, classResources, classMemory, classMissing, classLocked}, c.Class)
		require.LessOrEqual(t, len(c.Text), 3*maxText)
		require.Error(t, c.err("/x"))
	})
}
