// Package hotcopy copies a DuckDB database that another process holds open and
// keeps writing. It reads; it takes no lock on the database, writes nothing
// beside it and needs nothing from the owner. A copy is accepted by a written
// rule, never because it opens.
//
// # What is assumed of the writer
//
//	A1  Blocks that the current header uses, and blocks that a commit in its
//	    WAL refers to, are not overwritten before the next checkpoint hands them
//	    to the allocator. Metadata blocks may be rewritten in place, with the
//	    bytes that the current header needs unchanged. (DuckDB 1.1 to 1.5:
//	    single_file_block_manager.cpp, MarkBlockAsModified; metadata_manager.cpp,
//	    Flush.)
//	A2  Up to 1.4 that hand-over follows the write and sync of the next header,
//	    and no transaction writes while a checkpoint runs. In 1.5.0 to 1.5.6 it
//	    comes shortly before the header is written. (WriteHeader.)
//	A3  A checkpoint of a database whose WAL holds commits first appends a
//	    CHECKPOINT marker to it. (1.5: WALStartCheckpoint. Up to 1.4 the marker
//	    comes later, but before the header.) With an empty WAL there is no marker.
//	A4  A FLUSH entry that can be read implies that the blocks its commit refers
//	    to were written before it. (duck_transaction.cpp, WriteToWAL.)
//	A5  The WAL of iteration N is appended to, or cut back to the end of a
//	    commit; it is replaced or removed only after header N+1 is written.
//	A6  Reader and writer share a kernel, so a read sees every earlier write.
//	    A 4 KiB header may be seen half written; its checksum tells.
//	A7  Between the hand-over of A2 and the write of the header lies one sync of
//	    the database file, which takes less than Options.Settle.
//
// # The copy
//
// One attempt: read the headers (iteration N), the WAL, the headers again. If
// a checkpoint is under way (a marker at the WAL's end, or .wal.checkpoint is
// there) wait for it. Take the WAL up to its last commit, without markers. Copy
// each block that N uses, whole, until its checksum holds; where the WAL refers
// to blocks, copy the free ones too; leave holes elsewhere. Then look at the
// WAL and after it at the headers once more: if the file at the path is another
// one, the WAL lost what was taken, or any header byte changed, start over.
// What remains is accepted by the first of these rules that applies:
//
//	A  The WAL holds a commit, no marker at its end, no .wal.checkpoint. By A3
//	   no checkpoint has begun, so by A1 everything read belonged to N. This
//	   needs no knowledge of the engine's version and no waiting.
//	B  The operator vouches for an engine up to 1.4: the unchanged header is
//	   enough by A2. (A header's library text names who created the file, not
//	   who runs it, so it is not used.)
//	C  The WAL is empty or a checkpoint runs: only A7 helps. Either nothing was
//	   written to the file since Settle before the start, or the header holds
//	   still for Settle after the last read, or ("flip") the copy began within
//	   milliseconds of a header change and two complete reads of all used blocks
//	   agree, of which the first began at that change. Flip is for owners that
//	   checkpoint more often than Settle.
//
// An owner that died in a checkpoint leaves a marker, and perhaps
// .wal.checkpoint, that nobody will resolve. After waiting the copy takes what
// DuckDB's recovery would: the WAL without the marker and the commits of
// .wal.checkpoint behind it; or, when the header is already the new one,
// .wal.checkpoint alone. Only rules B and C accept such a copy.
//
// # Interruption
//
// What has been copied is synced and recorded in progress.json every 64 MiB. A
// later process goes on from there if the file, all header bytes and the WAL's
// prefix are still the same: by A1 and A5 the two reads are then one.
package hotcopy
