// Package hook calls what the operator put beside a live database: a command,
// or an HTTP server within this machine.
//
// A hook is trusted with the database and with nothing else. Its environment
// is clean, it is killed with all its processes when the time is over, what it
// says is read up to a bound and quoted in errors, and a request leaves this
// machine neither by name nor by redirect. What a command that ends well leaves
// running is its own affair. What an answer says is for the caller to judge. The package
// keeps no state and is safe for concurrent use.
package hook

// The bounds of what is kept of a hook's words, in bytes.
const (
	// MaxAnswer is the longest answer that a hook may give.
	MaxAnswer = 4096
	// MaxOutput is how much an error quotes of a hook that failed.
	MaxOutput = 2048
)
