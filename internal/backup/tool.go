package backup

import "runtime/debug"

// tool names this program and its version, for the manifest.
func tool() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "canvasback (devel)"
	}
	return "canvasback " + info.Main.Version
}
