// Package e2e tests the worker and the starter against a real Temporal server:
// the worker is the real program in a process of its own, the starter's
// commands are called as its main function calls them. It lives here because
// this is the module that has the server.
package e2e
