// Package engine lets DuckDB itself read a database file, always in a child
// process: a damaged copy can crash, hang or exhaust the engine, and that must
// be a verdict on the copy, not the end of the worker. It is the only package
// that links the DuckDB driver.
//
// The parent re-executes its own binary under the argv[0] "canvasback-engine",
// so every main and TestMain calls RunIfChild first. One request goes in on
// stdin as JSON; JSON lines come back on stdout: progress lines, then one
// report or one error. The child gets no environment of the parent's, its own
// process group, no core dump, and dies with its parent.
//
// The child attaches the file to an in-memory instance. Extensions are neither
// installed nor loaded, other files are out of reach, and the configuration is
// locked before anything of the database is evaluated. Paths that hold a
// question mark are refused: the engine looks for their WAL at another place,
// and would read such a database without its newest commits.
//
// Where the operator names a DuckDB command-line shell, that is the child: it
// gets the same queries and settings as a script on stdin and answers in JSON.
// What it may do is the same, its memory is bounded by the engine's own limit
// alone, and a fingerprint does not depend on which of them read the table.
//
// Extract takes tables out of a database: the child then has the one new
// database, or the one directory, in reach that it was told of, and what it
// writes only its user can read.
//
// Read-only scans change no file. Scans that may write need a private scratch
// copy: they fold the WAL. The functions are safe for concurrent use.
package engine
