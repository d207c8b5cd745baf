// Package compose checks docker-compose.yml and the Dockerfile of the
// repository as far as that goes without a container engine: they are read by
// the libraries that Docker itself reads them with, what they refer to is
// there, and the build steps are run by hand. It holds tests only, and is in
// this module because of the libraries that they need.
package compose
