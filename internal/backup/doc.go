// Package backup runs the four steps of a backup on this host: checkpoint,
// copy, verify and prune. The activities call one step each, the starter's
// local mode all of them. Every step takes the database's lease, so that two
// runs never work on one database at once, whoever started them.
package backup
