// Package fleet reads a fleet file, which says when the backups of many databases
// on many hosts begin, and works out what makes the schedules of a Temporal
// namespace match it.
//
// It reads the file strictly and says all that is wrong with it at once. Of what
// is there it touches the schedules of the file's own fleet, and, where the file
// names their database, those that were made by this program for no fleet. It
// never plans a second schedule for a database, nor one beside a cron workflow. It
// calls no server: the plan is a function of the file and of what internal/app
// found.
package fleet
