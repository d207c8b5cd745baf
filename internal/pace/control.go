package pace

// How the limit follows the pressure, once a second.
const (
	// high is the share of the time in which somebody waits that is too much, low
	// the one that leaves room. Between them the limit stays.
	high = 0.20
	low  = 0.10
	// back is what a limit falls to that is too high.
	back = 0.7
	// climb is how many steps lead from the floor to the ceiling.
	climb = 20
)

// control is the rule by which the limit moves: up by steps of one size, down by
// a share of itself, so that it is down fast and does not swing. It begins at the
// floor: the first copy after a start shocks nobody.
type control struct {
	floor, ceiling, limit float64 // bytes a second
}

func newControl(floor, ceiling float64) *control {
	return &control{floor: floor, ceiling: ceiling, limit: floor}
}

// next is the limit for the time after one in which somebody waited for I/O for
// that share of it. It rises only where the one before was felt: otherwise it
// would have to come down a long way before it did anything.
func (c *control) next(stalled float64, felt bool) float64 {
	switch {
	case stalled > high:
		c.limit = max(c.floor, c.limit*back)
	case stalled < low && felt:
		c.limit = min(c.ceiling, c.limit+c.step())
	}
	return c.limit
}

func (c *control) step() float64 { return (c.ceiling - c.floor) / climb }
