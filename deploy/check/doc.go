// Package check holds the files below deploy to what reads them: manifests of
// Kubernetes to its own types, to its Pod Security Standards and to what a
// worker needs; units to systemd; configurations to the worker's. It holds
// tests only, and is a module of its own because of the libraries that they
// need.
package check
