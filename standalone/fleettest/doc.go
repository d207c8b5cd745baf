// Package fleettest runs many databases on several hosts, and many databases on
// one, against a real Temporal server, and compares what the schedules, the runs'
// histories and the repositories say of each other, exactly.
//
// TestFleet gives each host a network namespace of its own, with a worker's
// program in it; it needs root and the program ip. On the way the cable of one
// host is pulled, the worker of another replaced by another build while its runs
// are at work, and one is killed. TestLoad gives one worker many databases.
//
// As they are, both take about a minute. The hour is
//
//	go test ./standalone/fleettest -run TestFleet -timeout 2h -v -for 1h -every 15m -jitter 8m -databases 200 -live 12 -results DIR
//	go test ./standalone/fleettest -run TestLoad -timeout 2h -v -for 1h -every 1h -jitter 1h -databases 1000 -live 0 -results DIR
//
// -old-worker PATH lets the host whose worker is replaced begin with that build.
package fleettest
