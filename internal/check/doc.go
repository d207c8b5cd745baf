// Package check reads the backups of a repository again, all of them or those
// whose turn it is, and marks what has rotted: a backup whose bytes are no longer
// those of its manifest, or whose blocks do not have their checksums, becomes
// rotten and counts no more, until a verification has found it good again.
//
// A disk that cannot be read is an accident: it is reported, the check is noted
// as not passed, so that the backup's turn comes again at once, and its state
// stays. The engine is not asked.
package check
