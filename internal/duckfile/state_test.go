package duckfile

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	insert, commit := entry(26, 1, 2, 3), flush()
	one := join(walHeader, insert, commit)
	mark := join(marker(), flush())
	const announced = Pointer(7<<56 | 29) // by marker
	scan := func(b []byte) *WAL { return scanBytes(t, b) }
	for _, c := range []struct {
		name       string
		root       Pointer
		main, side *WAL
		want       State
	}{
		{"no WAL", 1, nil, nil, Clean},
		{"empty WAL", 1, scan(nil), nil, Clean},
		{"header only", 1, scan(walHeader), nil, Clean},
		{"a torn commit", 1, scan(join(walHeader, insert)), nil, Clean},
		{"a commit", 1, scan(one), nil, Logged},
		{"a commit and a torn one", 1, scan(join(one, insert)), nil, Logged},
		{"marker at the end", 1, scan(join(one, mark)), nil, Running},
		{"marker at the end, not flushed", 1, scan(join(one, marker())), nil, Running},
		{"marker at the end, checkpoint WAL", 1, scan(join(one, mark)), scan(one), Running},
		{"checkpoint WAL and no marker", 1, scan(one), scan(one), Running},
		{"checkpoint WAL alone", 1, nil, scan(one), Running},
		{"the announced header is there", announced, scan(join(one, mark)), nil, Written},
		{"the announced header is there, checkpoint WAL", announced, scan(join(one, mark)), scan(one), Written},
		{"the announced header is there, commits behind", announced, scan(join(one, mark, insert, commit)), nil, Written},
		{"commits behind a marker", 1, scan(join(one, mark, insert, commit)), nil, Resumed},
		{"a second marker", 1, scan(join(one, mark, insert, commit, mark)), nil, Running},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Headers{Slots: [2]DatabaseHeader{{Iteration: 5, MetaBlock: c.root}, {Iteration: 4, MetaBlock: 99}}}
			assert.Equal(t, c.want, Classify(h, c.main, c.side))
		})
	}
}

func TestStatesHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for s := Clean; s <= Resumed; s++ {
		assert.Regexp(t, `^S[0-4]: `, s.String())
		seen[s.String()] = true
	}
	assert.Len(t, seen, 5)
	assert.Equal(t, "unknown", (Resumed + 1).String())
}

func TestIdentifierFault(t *testing.T) {
	f := testFile(1)[:BlocksStart]
	f[12] = upgradedVersion
	for i := identifierStart; i < identifierEnd; i++ {
		f[i] = byte(i)
	}
	f[identifierEnd] = 77
	seal(f[:HeaderSize])
	head, err := ParseHeaders(f, nil)
	require.NoError(t, err)
	zeros := &WAL{Header: WALHeader{HasIdentifier: true}}
	assert.True(t, head.IdentifierFault(zeros))

	assert.False(t, head.IdentifierFault(nil))
	assert.False(t, head.IdentifierFault(&WAL{}), "a WAL without identifier fits every database")
	assert.False(t, head.IdentifierFault(&WAL{Header: WALHeader{HasIdentifier: true, Identifier: head.Main.Identifier}}))
	assert.False(t, head.IdentifierFault(&WAL{Header: WALHeader{HasIdentifier: true, Identifier: [16]byte{1}}}), "another database's WAL")
	other := *head
	other.Main.Version = 67
	assert.False(t, other.IdentifierFault(zeros), "made with an identifier")
	other = *head
	other.Main.Flags[0] = 1
	assert.False(t, other.IdentifierFault(zeros), "the identifier of an encrypted file is part of its key")

	before := append([]byte{}, f...)
	RepairIdentifier(f[:HeaderSize])
	head, err = ParseHeaders(f, nil)
	require.NoError(t, err)
	assert.Zero(t, head.Main.Identifier)
	assert.False(t, head.IdentifierFault(zeros))
	clear(before[identifierStart:identifierEnd])
	assert.Equal(t, before[8:], f[8:], "nothing else changed")
}
