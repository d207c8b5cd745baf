package backup

import "runtime/debug"

// tool names this program and its version, for the manifest.
func tool() string { return "canvasback " + Version() }

// Version is that of this program, as the Go linker recorded it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
