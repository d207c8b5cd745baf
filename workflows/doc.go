// Package workflows holds what Temporal runs: the order of the steps and what
// happens when one fails. Everything that looks at files, clocks or
// configuration is in the activities, so that a run can be replayed from its
// history; the tests hold the package's imports and recorded histories to that.
package workflows
