// Package sample makes a DuckDB database and a second process that holds it
// open and keeps writing, for people who want to see a backup of a live
// database before they have one of their own.
//
// The writer is this program started again: RunIfChild turns a process into
// it. It lives no longer than the process that started it.
package sample

// Tables of the sample database.
//
//	ledger        id BIGINT, made TIMESTAMPTZ, account INTEGER, amount DECIMAL(12,2)
//	              ids run from 1 without a gap, one commit each
//	measurements  batch BIGINT, sensor INTEGER, value DOUBLE
//	              batches of batchRows rows, the oldest ones deleted
const (
	batchRows    = 20_000
	batchesKept  = 50
	batchesFirst = 25
)
