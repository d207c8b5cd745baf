package hotcopy

import (
	"bytes"
	"fmt"

	"canvasback/internal/duckfile"
)

// simLog is a WAL as the oracle reads it. Offsets are in bytes.
type simLog struct {
	size      int // of the header entry, 0: no WAL
	tagged    bool
	id        [16]byte
	iteration uint64
	commits   [][]change
	end       int  // of the last FLUSH that is no marker's
	whole     int  // of the last FLUSH
	marked    bool // the last FLUSH is a marker's
	meta      uint64
	inMiddle  bool // a commit follows a marker
}

// readLog replays by the rules of DuckDB: a torn tail is ignored, a whole frame
// with a wrong checksum is refused.
func readLog(b []byte) (simLog, error) {
	l := simLog{}
	rest, ok := l.readHeader(b)
	if !ok {
		if len(b) >= 64 {
			return l, fmt.Errorf("the WAL begins as no WAL does")
		}
		return simLog{}, nil
	}
	l.size = len(b) - len(rest)
	l.end, l.whole = l.size, l.size
	var changes []change
	marker := false
	for len(rest) >= 16 {
		n := le.Uint64(rest)
		if n > uint64(len(rest)-16) {
			return l, nil
		}
		at := len(b) - len(rest)
		p := rest[16 : 16+n]
		if le.Uint64(rest[8:]) != duckfile.Checksum(p) {
			return l, fmt.Errorf("corrupt WAL file: the entry at byte %d has a wrong checksum", at)
		}
		rest = rest[16+n:]
		c, err := readEntry(p)
		if err != nil {
			return l, fmt.Errorf("the WAL's entry at byte %d: %w", at, err)
		}
		switch {
		case c.kind == entryMarker:
			marker, l.meta = true, c.val
			continue
		case c.kind != entryFlush:
			changes = append(changes, c)
			continue
		case marker && changes == nil:
			l.marked, marker = true, false
		default:
			l.inMiddle = l.inMiddle || l.marked || marker
			l.marked, marker = false, false
			l.commits = append(l.commits, changes)
			changes = nil
			l.end = len(b) - len(rest)
		}
		l.whole = len(b) - len(rest)
	}
	return l, nil
}

func (l *simLog) readHeader(b []byte) (rest []byte, ok bool) {
	if len(b) < 8 || !bytes.Equal(b[:6], []byte{0x64, 0, 98, 0x65, 0, 2}) {
		return b, false
	}
	b = b[6:]
	if b[0] == 0x66 && b[1] == 0 {
		l.tagged = true
		b = b[2:]
		if n, ok := uvarint(&b); !ok || n != 16 {
			return b, false
		}
		for i := range l.id {
			v, ok := uvarint(&b)
			if !ok {
				return b, false
			}
			l.id[i] = byte(v)
		}
		if len(b) < 2 || b[0] != 0x67 {
			return b, false
		}
		b = b[2:]
		if l.iteration, ok = uvarint(&b); !ok {
			return b, false
		}
	}
	if len(b) < 2 || b[0] != 0xff || b[1] != 0xff {
		return b, false
	}
	return b[2:], true
}

func readEntry(p []byte) (change, error) {
	if len(p) < 5 || p[0] != 0x64 || p[1] != 0 {
		return change{}, fmt.Errorf("no entry")
	}
	c := change{kind: p[2]}
	w := &words{b: p[3 : len(p)-2]}
	switch c.kind {
	case entryRow:
		c.key, c.val = w.next(), w.next()
	case entrySeg:
		c.key, c.val, c.block = w.next(), w.next(), int64(w.next())
	case entryDrop:
		c.key = w.next()
	case entryFlush:
	case entryMarker:
		b := p[3:]
		if len(b) > 4 && b[2] == 0x64 {
			b = b[4:]
			c.val, _ = uvarint(&b)
		}
		return c, nil
	default:
		return c, fmt.Errorf("unknown type %d", c.kind)
	}
	if w.short || len(w.b) != 0 {
		return c, fmt.Errorf("type %d of %d bytes", c.kind, len(p))
	}
	return c, nil
}
