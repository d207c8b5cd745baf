package check

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Turn says whose turn it is. The zero value takes every backup.
type Turn struct {
	// Share, if more than one, takes one part in so many of the bytes, those that
	// were not read for longest: after Share runs everything was read at least
	// once.
	Share int
	// Within, if not zero, takes what would be read too late otherwise: with a run
	// at least every so often as the last two were apart (a day, before there
	// were two), everything is read once in that time, and each run reads about as
	// much as the others.
	Within time.Duration
}

// firstPause is the time between two runs where there was none before.
const firstPause = 24 * time.Hour

// candidate is a backup that may be read. Read is when its bytes were last read
// and found good, by a check or a verification; zero: never. Checked is the last
// check, passed or not.
type candidate struct {
	database, id  string
	bytes         int64
	read, checked time.Time
}

// take returns the candidates whose turn it is, in the order of their turn.
func (t Turn) take(now time.Time, all []candidate) []candidate {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b candidate) int {
		return cmp.Or(a.read.Compare(b.read), cmp.Compare(a.database, b.database), cmp.Compare(a.id, b.id))
	})
	var total int64
	var last time.Time
	for _, c := range sorted {
		total += c.bytes
		if c.checked.After(last) && !c.checked.After(now) {
			last = c.checked
		}
	}
	switch {
	case t.Share > 1:
		return upTo(sorted, (total-1)/int64(t.Share)+1, time.Time{})
	case t.Within > 0:
		pause := firstPause
		if !last.IsZero() {
			pause = now.Sub(last)
		}
		pause = min(pause, t.Within)
		return upTo(sorted, int64(math.Ceil(float64(total)*float64(pause)/float64(t.Within))), now.Add(pause-t.Within))
	}
	return sorted
}

// upTo takes from the front until there are so many bytes, and all that was last
// read at due or before. Backups without bytes take no room and are not left
// over for that.
func upTo(sorted []candidate, bytes int64, due time.Time) []candidate {
	var sum int64
	for i, c := range sorted {
		if sum >= bytes && c.read.After(due) {
			return sorted[:i]
		}
		sum += c.bytes
	}
	return sorted
}
