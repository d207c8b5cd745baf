// Package notify tells people how the runs of a database end: it pings a
// dead-man service (start, ok, fail), and sends an event to a webhook and to a
// command when runs begin to fail, while that lasts, and when it is over.
//
// Ok is said of a verified backup and of nothing else. What is to be said is put
// down in the repository (<database>/.told) before it is sent, and taken out when
// it was: so a message that could not be sent is sent later, by the same run,
// by the worker that keeps trying, or by the next run; and one that was sent when
// the process died is sent once more, with the same ID. Never is one left out.
// Where the repository cannot be written, which may be the very failure to be
// told, the record is kept in memory until it can.
//
// A URL is a secret: it appears in no error, log or result but as scheme and
// host, and what a server answers is not quoted. Certificates are checked,
// redirects refused, answers read up to a bound.
//
// Nothing here fails a run. A Notifier is safe for concurrent use, also by
// several processes on one repository.
package notify
