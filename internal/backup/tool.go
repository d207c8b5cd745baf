package backup

import "canvasback/internal/version"

// tool names this program and its version, for the manifest.
func tool() string { return "canvasback " + Version() }

// Version is that of this program.
func Version() string { return version.String() }
