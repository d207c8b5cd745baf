// Package workflows holds the durable part of a backup: the order of the steps,
// what is retried and how long each may take. It decides nothing that may
// change from one release to the next; rules run in the activities, so that
// their answers are in the history.
package workflows
