// Package hostile holds the tests that hand the whole product, as one process
// that takes a backup without Temporal, what nobody in his right mind would
// hand it: files that were made to break their readers, owners' hooks that lie,
// engines that flood. Each must end in bounded time and memory, as a failure of
// a known kind or with a verdict that is true, and leave alone what it should
// not touch.
package hostile
