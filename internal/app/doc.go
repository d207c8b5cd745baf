// Package app is what the worker and the standalone program share: the
// connection to Temporal, the worker of a host, and the schedule or cron
// workflow of a database.
package app
