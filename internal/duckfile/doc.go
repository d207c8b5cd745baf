// Package duckfile reads the bytes of a DuckDB database file and of its WAL.
// It parses what it is given, opens nothing and trusts nothing: every length is
// bounded before it is used. This page is the project's one description of the
// format. It covers storage versions 64 to 69 (and 999, which stands for "see
// the database header"), unencrypted. Integers are little endian.
//
// # The database file
//
//	offset            size   content
//	0                 4096   main header
//	4096              4096   database header, slot 0
//	8192              4096   database header, slot 1
//	12288 + id*A         A   block id, A = block_alloc_size
//
// Every header and every block begins with a u64 checksum of the bytes behind
// it (see Checksum).
//
// MainHeader, written when the file is made and rewritten only by a storage
// upgrade:
//
//	off  size  field            rule
//	  0     8  checksum         of bytes 8..4095
//	  8     4  magic            "DUCK"
//	 12     8  version          64..69 or 999
//	 20    32  flags            bit 0 of the first word: encrypted
//	 52    32  library          text, NUL padded: who created the file
//	 84    32  source id        text, NUL padded
//	124    16  identifier       random from storage version 67 on, else zeros
//
// DatabaseHeader, at 4096 and again at 8192:
//
//	off  size  field            rule
//	  0     8  checksum         of bytes 8..4095
//	  8     8  iteration        the higher one is current; equal: the second
//	 16     8  meta block       pointer to the catalog; all ones: empty database
//	 24     8  free list        pointer to the free list; all ones: none
//	 32     8  block count      ids handed out; may lie beyond the file's end
//	 40     8  block alloc size a power of two, 16384..262144; 0: 262144
//	 48     8  vector size      2048; 0: 2048
//	 56     8  compatibility    serialization version 1..7, or the storage
//	                            version itself from 69 on; 0 up to DuckDB 1.1
//
// DuckDB refuses a file if either slot has a bad checksum, and so do we. A
// checkpoint writes the slot that is not current, with the iteration plus one.
//
// A metadata block is a block cut into 64 sub-blocks of S bytes, S = (A-8)/64
// rounded down to a multiple of 8. A pointer holds the block id in its low 56
// bits and the sub-block in its high 8. A chain of sub-blocks begins each with
// the u64 pointer of the next (all ones: the last); the rest is data.
//
// The free list is such a chain:
//
//	u64 n   n * i64 id                 free blocks
//	u64 n   n * (i64 id, u32 count)    blocks shared by several segments
//	u64 n   n * (i64 id, u64 mask)     metadata blocks; bit set: sub-block free
//
// A block below the block count that is not free is used: it has a valid
// checksum at rest. Blocks that are free, or lie beyond the block count, may
// hold rows that only the WAL refers to (entry type 29).
//
// # The write-ahead log
//
// X.wal lies beside X; DuckDB 1.5 adds X.wal.checkpoint for commits made while
// a checkpoint runs. Both begin with a header entry, unframed:
//
//	64 00 62          field 100: entry type 98
//	65 00 v           field 101: WAL version, 2 (3: encrypted)
//	66 00 10 ...      field 102, optional: identifier, 16 LEB128 values
//	67 00 i           field 103, optional: iteration, LEB128
//	ff ff
//
// Frames follow: u64 size, u64 checksum of the payload, payload. A payload is
// 64 00, the entry type as LEB128, fields, ff ff. Type 100 (FLUSH) ends a
// commit. Type 99 (CHECKPOINT) announces a checkpoint and carries the meta
// block pointer that its header will have; a FLUSH follows it. A tail that ends
// inside a frame is torn: DuckDB ignores it. A whole frame with a bad checksum
// makes DuckDB refuse the database.
//
// The facts are from DuckDB's sources (storage/single_file_block_manager.cpp,
// storage/metadata/metadata_manager.cpp, storage/write_ahead_log.cpp,
// storage/wal_replay.cpp, common/checksum.cpp; releases 1.0 to 1.5) and were
// checked against files of DuckDB 1.1, 1.4 and 1.5.
package duckfile
