// Package telemetry lets people and their tools watch a worker: metrics in
// Prometheus' form and health over HTTP, one log line for each step, and one
// trace for each run.
//
// What a metric says of the state of a host is worked out from the newest
// health.Report when it is asked for, so it is there from the first report of a
// process on. Counts are those since the process began.
//
// Nothing secret leaves by here: log lines and spans go through one scrubber,
// see newScrubber, and labels of metrics come from closed lists.
package telemetry
