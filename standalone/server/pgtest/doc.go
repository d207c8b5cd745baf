// Package pgtest runs a PostgreSQL of its own for tests of Temporal as it is in
// production: the server's programs are Debian's, the schema is set up by
// Temporal's own tool with the steps of docker-compose.yml.
package pgtest
