package hotcopy

import (
	"cmp"
	"slices"

	"canvasback/internal/duckfile"
)

// allocSubs takes as many metadata sub-blocks as n bytes of a chain need, none
// of them one that the current header uses.
func (e *engine) allocSubs(n int) []uint64 {
	need := max(1, (n+simData-1)/simData)
	var subs []uint64
	fresh := e.s.chance(15) // a new block although there may be room
	for len(subs) < need {
		for _, m := range e.metas {
			for k := 0; k < 64 && len(subs) < need && !fresh; k++ {
				if (m.used|m.next)>>k&1 == 0 {
					m.next |= 1 << k
					m.dirty = true
					subs = append(subs, simPointer(m.id, k))
				}
			}
		}
		if len(subs) < need {
			fresh = false
			e.metas = append(e.metas, &metaBlock{id: e.alloc(), img: make([]byte, simA)})
			slices.SortFunc(e.metas, func(a, b *metaBlock) int { return cmp.Compare(a.id, b.id) })
		}
	}
	return subs
}

// fillSubs writes data along a chain of sub-blocks, in memory.
func (e *engine) fillSubs(subs []uint64, data []byte) {
	if len(data) > len(subs)*simData {
		panic("a chain is too short for its data")
	}
	for i, p := range subs {
		id, k := int64(p&(1<<56-1)), int(p>>56)
		j := slices.IndexFunc(e.metas, func(m *metaBlock) bool { return m.id == id })
		sub := e.metas[j].img[8+k*simSub : 8+(k+1)*simSub]
		next := uint64(duckfile.NoPointer)
		if i+1 < len(subs) {
			next = subs[i+1]
		}
		le.PutUint64(sub, next)
		n := copy(sub[8:], data)
		clear(sub[8+n:])
		data = data[n:]
	}
}

// newDatabase creates an empty database as DuckDB does.
func newDatabase(s *sim, k simKind, f *simFormat, p *profile) *engine {
	check0(s.mem.MkdirAll("/live", 0o700))
	check0(s.mem.MkdirAll("/copy", 0o700))
	e := &engine{s: s, k: k, f: f, p: p}
	e.openFiles()
	none := uint64(duckfile.NoPointer)
	must(e.db.WriteAt(slices.Concat(f.mainHeader(), f.slot(0, none, none, 0), f.slot(0, none, none, 0)), 0))
	e.slot = 1
	return e
}
