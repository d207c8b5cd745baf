// Package watch is how a worker knows how the backups of its databases stand. It
// looks at the repository every ten seconds, and asks Temporal every thirty, and
// keeps the newest of both as a health.Report, which metrics show, and as a
// job.Pulse, which goes to Temporal.
//
// It reads and never writes, and what goes wrong in it is logged and told in the
// report: no backup waits for it or fails with it. Neither does it wait for a
// file system or a server that does not answer: the report goes on, and says so.
package watch
