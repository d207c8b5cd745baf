//go:build !race

package hotcopy

// raceEnabled: the race detector slows everything down by a factor of ten.
const raceEnabled = false
