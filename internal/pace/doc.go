// Package pace bounds how fast the copies of one process read, all of them
// together: a token bucket, whose tokens are bytes, and a queue before it.
//
// Each copy has a Share, which waits in line for one quantum of bytes at a time and
// spends it on reads of any size: of N copies that read all the time each gets one
// N-th in bytes, and one that paused has saved nothing up. A wait that is given up
// has cost nothing, and what is left of a quantum at the end is given back.
//
// The limit is fixed, or it falls while programs on this machine wait for its
// disks and rises while they do not. What tells is Linux' pressure stall
// information for I/O: the share of the time in which at least one task of the
// machine, or of one control group, waited for I/O. A read that the page cache
// answers makes nobody wait, and so moves the limit in neither direction. The
// copies' own waits count where the copies belong to what is looked at: a copy
// that is alone on a slow disk holds itself to about the share of the disk's time
// that is the bound, which errs on the side of the services. It is no measure of
// latency, and says nothing of who is to blame.
//
// Nothing runs in the background. The copy whose turn it is looks at the pressure
// once a second; while none asks, the limit stays where it is.
package pace
