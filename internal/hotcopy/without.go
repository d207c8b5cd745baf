package hotcopy

// check is a set of the precautions of a copy. Tests leave one out to show
// that it is needed; programs cannot.
type check uint

const (
	withoutMarker     check = 1 << iota // rule A does not look for a marker or .wal.checkpoint at the end
	withoutGate                         // a running checkpoint is not waited for at the start
	withoutEndHeaders                   // the headers are not compared at the end
	withoutPairing                      // the headers are not read again after the WAL
	withoutRowGroups                    // free blocks stay holes although the WAL refers to them
	withoutBlockCheck                   // blocks are taken as they are read
	withoutPrefix                       // the WAL is not compared at the end
	withoutSettle                       // rule C does not wait
	withoutCompare                      // flip: nothing is read a second time
	withoutFreed                        // succeeded: blocks that the next header freed are not looked at
	withoutRelease                      // a hold whose release failed is accepted
)

func (o *Options) skips(c check) bool { return o.without&c != 0 }
