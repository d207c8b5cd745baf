package backup

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"canvasback/internal/config"
	"canvasback/internal/hotcopy"
	"canvasback/internal/human"
	"canvasback/internal/pace"
)

// newPace is the bound of all copies of a host; nil: there is none.
func newPace(b config.Bandwidth) *pace.Pace {
	if b.Limit <= 0 {
		return nil
	}
	o := pace.Options{Limit: int64(b.Limit), Floor: int64(b.Floor)}
	if b.Adaptive {
		o.Stalled = pace.Stalled(b.Pressure)
	}
	return pace.New(o)
}

// Pace is what the bound of all copies did so far; false: there is none.
func (r *Runner) Pace() (pace.Stats, bool) {
	if r.pace == nil {
		return pace.Stats{}, false
	}
	return r.pace.Stats(), true
}

// limiter is the bound of one copy, and what ends its use. It waits for the
// database's own bound first: nobody else waits for that.
func (r *Runner) limiter(d *config.Database) (hotcopy.Limiter, func()) {
	var all limits
	if b := d.Copy.Bandwidth; b > 0 {
		all = append(all, rate.NewLimiter(rate.Limit(b), max(int(b)/10, hotcopy.MaxRead)))
	}
	if r.pace == nil {
		if len(all) == 0 {
			return nil, func() {} // a nil limits would be a Limiter
		}
		return all, func() {}
	}
	share := r.pace.Share()
	return append(all, share), share.Close
}

// limits are bounds that hold all at once.
type limits []hotcopy.Limiter

func (l limits) WaitN(ctx context.Context, n int) error {
	for _, limit := range l {
		if err := limit.WaitN(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// Doubts are what the bandwidth may come to that nobody wants, a sentence each: an
// adaptive limit that cannot adapt, and databases that cannot be copied in their
// time at the lowest rate.
func (r *Runner) Doubts() []string {
	var all []string
	b := r.Config.Bandwidth
	if b.Limit > 0 && b.Adaptive {
		if _, err := pace.Stalled(b.Pressure)(); err != nil {
			all = append(all, fmt.Sprintf("the bandwidth cannot adapt and stays at its floor of %s/s: %v", human.Bytes(int64(b.Floor)), err))
		}
	}
	for i := range r.Config.Databases {
		d := &r.Config.Databases[i]
		lowest := r.Config.Lowest(d)
		info, err := r.fs.Stat(d.Path)
		if err != nil || lowest == 0 {
			continue
		}
		if takes := time.Duration(float64(info.Size) / float64(lowest) * float64(time.Second)); takes > time.Duration(d.Copy.Timeout) {
			all = append(all, fmt.Sprintf("database %s has %s: at %s/s, the least that its copy may be left with, one takes %s, and copy.timeout is %s",
				d.Name, human.Bytes(info.Size), human.Bytes(int64(lowest)), takes.Round(time.Minute), d.Copy.Timeout))
		}
	}
	return all
}
