// Package hook lets a service that has DuckDB inside help its backups: it
// folds the write-ahead log when asked, and it keeps checkpoints off while a
// copy of the database file runs. It needs database/sql and whatever DuckDB
// driver the service has.
//
//	h := hook.New(db, hook.Options{})
//	defer h.Close() // before db.Close
//	go http.ListenAndServe("127.0.0.1:8081", h)
//
// A hold is a transaction on a connection of its own that has created a table
// and stays open: while it does, no checkpoint of any kind can start, and the
// CREATE does not return before a running one has ended. Commits go on, into
// the write-ahead log. The transaction is rolled back in the end, so that the
// table is never there. This is so in DuckDB 1.1 to 1.5.
//
// Old transactions are bad for a service, so that a hold is a chain of young
// ones: four times a second the next one begins, and then the one before is
// rolled back. The hold was in force only if every ROLLBACK has succeeded.
//
// What to know before you use it:
//
//   - DuckDB has faults beside a transaction that is older than a change, be it
//     a hold's or a query's. In 1.5.6, DELETE, CREATE INDEX and DELETE of one
//     table make the end of the older transaction invalidate the database until
//     it is opened again; in 1.1.3 rows deleted around a DROP INDEX come back. In
//     1.4.1 a primary key that was deleted cannot be inserted again before the
//     older transaction ends. Renewal leaves half a second for this to happen in;
//     do not use holds in a service that does it in quick succession.
//   - The write-ahead log grows for as long as a hold lasts. Every hold has a
//     deadline, after which it ends by itself; Options.MaxHold bounds it.
//   - A FORCE CHECKPOINT by someone else waits for the hold, spins a core
//     meanwhile (up to DuckDB 1.5), and blocks every later write transaction
//     that needs the same lock. Do not use it in a service that has this hook.
//   - After a hold, the next commit may checkpoint at once all that the
//     write-ahead log has gathered.
//   - Closing the database ends the hold and lets the shutdown checkpoint run.
//     Close the Hook first; then the end of that hold is refused, and the copy
//     is not accepted on its word.
//   - The pool must have two connections to spare: a pool of one (SetMaxOpenConns(1))
//     would leave none to the service while a hold lasts, so that begin is
//     refused there. Such a service gives the hook a pool of its own on the same
//     driver.Connector, by sql.OpenDB; a second sql.Open of the file is another
//     instance of DuckDB, and forbidden.
//   - Never open and close the database file itself inside the service's
//     process, not even to read it: that drops DuckDB's lock on it.
//   - Whoever can send requests can hold checkpoints back. Listen on loopback
//     or on a unix socket. Requests of web pages are refused.
package hook
