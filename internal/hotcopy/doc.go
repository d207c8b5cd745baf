// Package hotcopy copies a DuckDB database that another process holds open and
// keeps writing. It reads; it takes no lock on the database, writes nothing
// beside it and needs nothing from the owner. A copy is accepted by a written
// rule, never because it opens.
//
// # What is assumed of the writer
//
// Each assumption names what backs it: DuckDB's sources, by file and function
// below src/storage, or a test.
//
//	A1  Blocks that the current header uses, and blocks that a commit in its
//	    WAL refers to, are not overwritten, punched or cut off before the next
//	    checkpoint hands them to the allocator. Metadata blocks may be rewritten
//	    in place, with the bytes that the current header needs unchanged.
//	    (single_file_block_manager.cpp, MarkBlockAsModified; 1.5.1 and later:
//	    MarkBlockAsCheckpointed; metadata/metadata_manager.cpp, Flush.)
//	A2  Up to 1.4 that hand-over follows the write and sync of the next header,
//	    and no transaction writes while a checkpoint runs. In 1.5.0 to 1.5.6 it
//	    comes before the header is written. (single_file_block_manager.cpp,
//	    WriteHeader; TestShortSettleIsNotEnoughWhereSyncsAreSlow in livetest
//	    overwrites blocks in that window.)
//	A3  A checkpoint of a database whose WAL holds commits first appends a
//	    CHECKPOINT marker to it. (1.5: storage_manager.cpp, WALStartCheckpoint.
//	    Up to 1.4 the marker comes later, but before the header.) With an empty
//	    WAL there is no marker, and no WAL appears while such a checkpoint runs.
//	    PRAGMA force_checkpoint, a debugging aid, breaks this.
//	A4  A FLUSH entry that can be read implies that the blocks its commit refers
//	    to were written before it. (transaction/duck_transaction.cpp, WriteToWAL.)
//	A5  The WAL of iteration N is appended to, or cut back to the end of a
//	    commit; it is replaced or removed only after header N+1 is written.
//	    (storage_manager.cpp, WALFinishCheckpoint; write_ahead_log.cpp, Truncate.)
//	A6  Reader and writer share a kernel, so that a read sees every earlier
//	    write. Network file systems are refused for it. A write of 4 KiB or more
//	    may be seen half done; checksums tell.
//	A7  Between the hand-over of A2 and the write of the header lies one sync of
//	    the database file, which takes less than Options.Settle while the owner
//	    runs. An owner that was stopped proves nothing by not writing.
//	A8  Between the write of a header and the hand-over of the next checkpoint
//	    lies more than a quarter of the time that the header before was seen to
//	    live, 250 ms at most: it holds a sync and the writing of a checkpoint's
//	    blocks. Nothing in DuckDB promises that. Only flip rests on it.
//	A9  A clone is one step as seen by the owner's writes: ioctl_ficlone(2) locks
//	    the inode. (TestCloneFromIsAPointInTime in vfs, on XFS and Btrfs.)
//	A10 The WAL lies beside the path that the copy was told, beside one that a
//	    symbolic link leads it to, or beside one by which the owner is seen to
//	    have the database or that WAL open. (DuckDB up to 1.4 puts it beside the
//	    link that it was told, 1.5 beside the file. Hard links of which none is
//	    known to be the owner's are refused.)
//
// TestInterleavings runs a simulated DuckDB under these assumptions against the
// copy. TestEachPrecautionIsNeeded leaves out one precaution of a rule at a time,
// and TestEachAssumptionIsNeeded breaks A7 and A8: each finds bad copies.
//
// # The copy
//
// One attempt: ask for a hold, where the owner offers one. Read the headers
// (iteration N), the WAL, the headers again. If a checkpoint is under way (a
// marker at the WAL's end, or .wal.checkpoint is there) wait for it. Take the
// WAL up to its last commit, without markers. Clone the file, where the file
// system can: it is found out by trying. Else copy each block that N uses, whole,
// until its checksum holds; where the WAL refers to blocks, copy the free ones
// too; leave holes elsewhere. Then look at the WAL and after it at the headers
// once more: if the file at the path is another one, the WAL lost what was
// taken, or any header byte changed, start over; blocks whose full content is
// the same are then not written again. What remains is accepted by the first of
// these rules that applies:
//
//	hold  The owner held its checkpoints off from before the first look of this
//	      process, and ended the hold with success after the last. Then no
//	      hand-over came in between, whatever the version; what an earlier process
//	      read under the same header came before it, too.
//	A     The WAL holds a commit, no marker at its end, no .wal.checkpoint. By
//	      A3 no checkpoint has begun, so by A1 everything read belonged to N.
//	      This needs no knowledge of the engine's version and no waiting.
//	B     The operator vouches for an engine up to 1.4, or the hook of the process
//	      that has the database open names one, and nothing contradicts it: the
//	      unchanged header is enough by A2. A header's library text names who
//	      created the file, not who runs it, and is not used.
//	C     The WAL is empty, or a checkpoint never ends. In one of four variants:
//	      "untouched": nobody has the database open, before or after, and nothing
//	      was written to it since Settle before the start, by its times.
//	      "settled": the header stands still for Settle after the last read (A7),
//	      beginning, where the operator allows it, with a sync of the file; time
//	      in which the owner or this process were paused does not count.
//	      "succeeded": the next header has appeared instead, and uses all blocks
//	      that N uses, but for those that were read under header N-1 already, with
//	      the same content, and used by it. Blocks that N+1 uses were not handed
//	      on by its checkpoint (A1), so this needs no assumption about time.
//	      "flip", for owners that checkpoint more often than Settle: the copy
//	      began at a header change. What differs from the reads under header N-1
//	      was read within the time of A8, and a second read of everything finds
//	      nothing changed. Manifests name the variant.
//
// An encrypted database whose key is not known is copied whole, as opaque bytes.
// Markers and torn blocks cannot be seen in it, so that only rule C's first two
// forms accept it. With the key an encrypted database is as good as a plain one.
//
// An owner that died in a checkpoint leaves a marker, and perhaps
// .wal.checkpoint, that nobody will resolve. After waiting the copy takes what
// DuckDB's recovery would: the WAL without the marker and the commits of
// .wal.checkpoint behind it; or, when the header is already the new one,
// .wal.checkpoint alone. Only rules B, C and hold accept such a copy.
//
// # Bandwidth
//
// Options.Limiter bounds what is read of the database and, once in each pass, of
// the WAL as it is taken. No rule is the weaker for it: a pass that takes longer is
// lost more often, and what A8 allows is measured, not assumed. The looks at the
// WAL before and after are not in it. They read again what the owner has just
// written, out of the page cache, and those after the last block are to be short.
// A clone has cost no reads when it is accepted; it is read, to be checked and
// hashed, when it was.
//
// # Interruption
//
// What has been copied is synced and recorded in progress.json every 64 MiB. A
// later process goes on from there if the file, all header bytes and the WAL's
// prefix are still the same: by A1 and A5 the two reads are then one.
package hotcopy
