// Package doctor looks at what a new set-up gets wrong, on the host of the
// databases and as the worker's user, and says how to mend each.
//
// It only looks: nothing is written to a database or beside it, no lock is
// taken on one and no hook is asked for a checkpoint or a hold. In the
// repository it writes, renames, locks and removes a probe file, as the worker
// does when it starts. It never says what is in a key or a secret file.
//
// Each check is a function that returns its findings, which do not depend on
// those of another, except where the text says so. What a check cannot decide
// here is skipped, in words.
package doctor
