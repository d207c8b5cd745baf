// Package config reads the worker's one configuration file, and makes the same
// configuration from the flags of the simple case. It is strict: unknown keys
// are refused, and every fault is reported at once, each with its line.
//
// Loading looks at the file system only to find out which paths name the same
// file; that a database or the repository is there is for the steps that use
// them. Values are plain data: safe to share once loaded, never changed later.
package config
