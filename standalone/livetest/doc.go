// Package livetest backs the Node.js service of the examples up through a real
// Temporal server, with the service, the worker and the starter as processes
// of their own. It is the counterpart of the main module's package of the same
// name and lives here because this is the module that has the server.
package livetest
