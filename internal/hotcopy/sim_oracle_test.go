package hotcopy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"canvasback/internal/duckfile"
)

// opened is what the simulated DuckDB finds when it opens a database. It reads
// the bytes with code of its own, so as to judge what package duckfile wrote.
type opened struct {
	state     logical
	iteration uint64
	slot      int
	root      uint64
	count     int64
	used      uint64 // blocks of the header
	named     uint64 // blocks that entries of the WAL refer to
	metas     []simMeta
	main      simLog
	side      simLog
	// covered: the marker at the WAL's end announced this very header.
	covered bool
}

// openDatabase opens a database with the WALs beside it; an error says why
// DuckDB would refuse it or what would be found wrong in it.
func openDatabase(db, main, side []byte, lenient bool) (*opened, error) {
	o := &opened{}
	if err := o.readHeaders(db); err != nil {
		return nil, err
	}
	if err := o.readImage(db); err != nil {
		return nil, err
	}
	var err error
	if o.main, err = readLog(main); err != nil {
		return nil, err
	}
	if o.side, err = readLog(side); err != nil {
		return nil, err
	}
	if err := o.pair(db); err != nil {
		return nil, err
	}
	if o.main.inMiddle && !lenient {
		return nil, fmt.Errorf("WAL checkpoint marker must be at the end of the WAL")
	}
	var commits [][]change
	if !o.covered {
		commits = append(commits, o.main.commits...)
	}
	if o.main.marked {
		commits = append(commits, o.side.commits...)
	}
	for _, c := range commits {
		if err := o.replay(db, c); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *opened) readHeaders(db []byte) error {
	if len(db) < duckfile.BlocksStart {
		return fmt.Errorf("the file ends in its headers")
	}
	for i := range 3 {
		h := db[i*duckfile.HeaderSize : (i+1)*duckfile.HeaderSize]
		if le.Uint64(h) != duckfile.Checksum(h[8:]) {
			return fmt.Errorf("header %d has a wrong checksum", i)
		}
	}
	a, b := db[4096:8192], db[8192:12288]
	cur := b
	o.slot = 1
	if le.Uint64(a[8:]) > le.Uint64(b[8:]) {
		cur, o.slot = a, 0
	}
	o.iteration, o.root, o.count = le.Uint64(cur[8:]), le.Uint64(cur[16:]), int64(le.Uint64(cur[32:]))
	if o.root == uint64(duckfile.NoPointer) {
		return nil
	}
	free, err := o.readList(db, le.Uint64(cur[24:]))
	if err != nil {
		return err
	}
	o.used = ^free & (1<<o.count - 1)
	for id := range o.count {
		if o.used>>id&1 == 0 {
			continue
		}
		if block(db, id) == nil {
			return fmt.Errorf("used block %d lies beyond the end", id)
		}
		if b := block(db, id); le.Uint64(b) != duckfile.Checksum(b[8:]) {
			return fmt.Errorf("used block %d has a wrong checksum", id)
		}
	}
	return nil
}

func block(db []byte, id int64) []byte {
	off := 12288 + id*simA
	if id < 0 || id >= 64 || off+simA > int64(len(db)) {
		return nil
	}
	return db[off : off+simA]
}

// chainWords returns the data of a chain as words.
func chainBytes(db []byte, p uint64) ([]byte, error) {
	var data []byte
	for hops := 0; p != uint64(duckfile.NoPointer); hops++ {
		b := block(db, int64(p&(1<<56-1)))
		if b == nil || p>>56 > 63 || hops > 4096 {
			return nil, fmt.Errorf("metadata pointer %#x leads nowhere", p)
		}
		if le.Uint64(b) != duckfile.Checksum(b[8:]) {
			return nil, fmt.Errorf("metadata block %d has a wrong checksum", p&(1<<56-1))
		}
		sub := b[8+(p>>56)*simSub:][:simSub]
		data = append(data, sub[8:]...)
		p = le.Uint64(sub)
	}
	return data, nil
}

// words takes apart what was read of a chain; past its end it gives zeros and
// remembers that.
type words struct {
	b     []byte
	short bool
}

func (w *words) next() uint64 {
	if len(w.b) < 8 {
		w.short = true
		return 0
	}
	v := le.Uint64(w.b)
	w.b = w.b[8:]
	return v
}

func (o *opened) readList(db []byte, p uint64) (free uint64, err error) {
	data, err := chainBytes(db, p)
	if err != nil {
		return 0, err
	}
	w := &words{b: data}
	for range min(w.next(), 65) {
		free |= 1 << w.next()
	}
	for range min(w.next(), 65) {
		w.next()
		w.b = w.b[min(4, len(w.b)):]
	}
	for range min(w.next(), 65) {
		o.metas = append(o.metas, simMeta{int64(w.next()), w.next()})
	}
	if w.short {
		return 0, fmt.Errorf("the free list ends inside")
	}
	return free, nil
}

// readImage reads the catalog and every segment that it names.
func (o *opened) readImage(db []byte) error {
	if o.root == uint64(duckfile.NoPointer) {
		return nil
	}
	data, err := chainBytes(db, o.root)
	if err != nil {
		return err
	}
	w := &words{b: data}
	for i := range o.state.rows {
		o.state.rows[i] = w.next()
	}
	expected := uint64(0)
	for range min(w.next(), 65) {
		s := simSeg{w.next(), w.next(), int64(w.next())}
		for k := range simStats(s.value) {
			if w.next() != mix(s.value+uint64(k)) {
				return fmt.Errorf("the statistics of segment %d are wrong", s.id)
			}
		}
		if err := checkSegment(db, s); err != nil {
			return fmt.Errorf("the catalog's %w", err)
		}
		expected |= 1 << s.block
		o.state.segs = append(o.state.segs, s)
	}
	for _, m := range o.metas {
		expected |= 1 << m.id
	}
	if w.short || expected != o.used {
		return fmt.Errorf("the catalog needs the blocks %#x, the free list leaves %#x", expected, o.used)
	}
	return nil
}

func checkSegment(db []byte, s simSeg) error {
	b := block(db, s.block)
	if b == nil {
		return fmt.Errorf("segment %d: block %d lies beyond the end", s.id, s.block)
	}
	var want [simA]byte
	if fillSegment(want[:], s.id, s.value); !bytes.Equal(b, want[:]) {
		return fmt.Errorf("segment %d: block %d holds something else", s.id, s.block)
	}
	return nil
}

// pair checks that the WALs belong to this header.
func (o *opened) pair(db []byte) error {
	o.covered = o.main.marked && o.main.meta == o.root
	for i, l := range []*simLog{&o.main, &o.side} {
		if l.size == 0 || !l.tagged {
			continue
		}
		if !bytes.Equal(l.id[:], db[124:140]) {
			return fmt.Errorf("WAL does not match database file")
		}
		want := o.iteration + uint64(i)
		if o.covered {
			want--
		}
		if l.iteration != want {
			return fmt.Errorf("the WAL's checkpoint iteration %d does not match the header's %d", l.iteration, o.iteration)
		}
	}
	return nil
}

// replay makes the changes of one commit. Each follows the commit before it.
func (o *opened) replay(db []byte, changes []change) error {
	before := o.state.rows[0]
	for _, c := range changes {
		i, found := o.state.find(c.key)
		switch {
		case c.kind == entryRow && c.key < simRows:
			o.state.rows[c.key] = c.val
		case c.kind == entrySeg && !found:
			s := simSeg{c.key, c.val, c.block}
			if c.block < 64 && o.used>>c.block&1 != 0 {
				return fmt.Errorf("the WAL's segment %d lies in block %d, which the header uses", c.key, c.block)
			}
			if err := checkSegment(db, s); err != nil {
				return fmt.Errorf("the WAL's %w", err)
			}
			o.named |= 1 << c.block
			o.state.segs = slices.Insert(o.state.segs, i, s)
		case c.kind == entryDrop && found:
			o.state.segs = slices.Delete(o.state.segs, i, i+1)
		default:
			return fmt.Errorf("entry %d of segment %d cannot be replayed after commit %d", c.kind, c.key, before)
		}
	}
	if o.state.rows[0] != before+1 {
		return fmt.Errorf("commit %d is replayed after commit %d", o.state.rows[0], before)
	}
	return nil
}

// uvarint takes a LEB128 value off b; false: there is none.
func uvarint(b *[]byte) (uint64, bool) {
	v, n := binary.Uvarint(*b)
	if n <= 0 {
		return 0, false
	}
	*b = (*b)[n:]
	return v, true
}
