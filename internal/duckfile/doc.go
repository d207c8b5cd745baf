// Package duckfile reads the bytes of a DuckDB database file and of its WAL.
// It parses what it is given, opens nothing and trusts nothing: every length is
// bounded before it is used. What it returns may be read from several goroutines
// at once. This page is the project's one description of the format, in the
// order of the bytes. It covers storage versions 64 to 69 (and 999, which stands
// for "see the database header"), plain and encrypted. Integers are little
// endian.
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
// it (see Checksum). A block or database header of an encrypted file begins with
// 32 bytes more (see below); the main header is always plain.
//
// MainHeader, written when the file is made and rewritten only by a storage
// upgrade:
//
//	off  size  field            rule
//	  0     8  checksum         of bytes 8..4095
//	  8     4  magic            "DUCK"
//	 12     8  version          64..69 or 999
//	 20    32  flags            bit 0 of the first word: encrypted
//	 52    32  library          text, NUL padded: who wrote this header
//	 84    32  source id        text, NUL padded
//	116     1  key derivation   1: SHA-256; as all below, 0 in a plain file
//	117     1  aad              not used
//	118     1  cipher           1: GCM, 2: CTR
//	119     1  encryption       version: 0 (DuckDB 1.4) or 1 (from 1.5 on)
//	120     4  key length       32
//	124    16  identifier       random if encrypted, and plain from storage
//	                            version 67 on, else zeros
//	140     8  canary           "DUCKKEY\0", encrypted
//	148    12  canary nonce     encryption version 1
//	160    16  canary tag       encryption version 1
//
// DuckDB up to 1.3 ends it at 116 and writes zeros behind. Version 999 means
// that the storage version is the compatibility of the current database header;
// DuckDB 2.0 writes it from 69 on. Otherwise the version is what the file was
// made with, or 65 after an upgrade by DuckDB 1.2 to 1.5, to whatever version.
//
// That upgrade, in DuckDB 1.4 to 1.5.6, also leaves a random identifier, while
// the process goes on to write zeros into its WAL: DuckDB refuses the pair after
// a crash (see Headers.IdentifierFault).
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
// # Encryption
//
// The AES-256 key of a file is SHA-256(identifier, K), where K is the owner's
// key: base64 decoded if it decodes, else as it is. A database header or block
// is, at offset 0:
//
//	encryption 0   nonce 16 | tag 16           | ciphertext
//	encryption 1   nonce 12 | tag 16 | zeros 4 | ciphertext
//
// The ciphertext, from byte 32 to the end, is the plain header or block of 32
// bytes less: its checksum first, of the bytes behind, then its fields at the
// offsets above. There is no additional data. With CTR the tag means nothing and
// the counter block begins as the nonce, 12 bytes of it followed by zeros. The
// canary is encrypted with a nonce of 16 zeros, as the file is, in encryption 0,
// and with GCM whatever the cipher in encryption 1.
//
// Without the key only the main header can be read (see ParseOpaque): not the
// block size, not which blocks are used, not whether a block is torn.
//
// # Metadata and the free list
//
// A metadata block is a block cut into 64 sub-blocks of S bytes, S = (A-H)/64
// rounded down to a multiple of 8, where H is 8, or 40 if encrypted. A pointer
// holds the block id in its low 56 bits and the sub-block in its high 8.
// Sub-block k begins k*S bytes into the payload. A chain of sub-blocks begins
// each with the u64 pointer of the next (all ones: the last); the rest is data.
//
// The free list is such a chain:
//
//	u64 n   n * i64 id                 free blocks, ascending
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
// a checkpoint runs, and X.wal.recovery while it joins the two after a crash.
// All begin with a header entry, unframed and never encrypted:
//
//	64 00 62          field 100: entry type 98
//	65 00 v           field 101: WAL version, 2 (3: encrypted)
//	66 00 10 ...      field 102, optional: identifier, 16 LEB128 values
//	67 00 i           field 103, optional: iteration, LEB128
//	ff ff
//
// The optional fields stand there from storage version 67 on (DuckDB 2.0: from
// 66 on) and must be the main header's identifier and the current header's
// iteration, or the one after it in X.wal.checkpoint. Of older files nothing
// says which header a WAL belongs to. Frames follow:
//
//	version 2      u64 size | u64 checksum | payload
//	version 3      u64 size | nonce | ciphertext | tag
//
// Size and checksum are the payload's. The ciphertext is checksum and payload,
// size+8 bytes. The nonce has 16 bytes in encryption 0 and 12 in encryption 1;
// the tag has 16, except that CTR in encryption 1 has none.
//
// A payload is 64 00, the entry type as LEB128, fields, ff ff. Type 100 (FLUSH)
// has no fields and ends a commit; nothing else has a size of 5. In a plain WAL
// it is always 0500000000000000 e7fe7d722fed3d5e 640064ffff. Type 99 (CHECKPOINT)
// is the marker of a checkpoint and carries the meta block pointer that its
// header will have, which is left out if it is 0; a FLUSH follows it:
//
//	64 00 63 | 65 00 | 64 00 <LEB128 pointer> | 65 00 08 | ff ff | ff ff
//
// DuckDB from 1.5 on writes it before anything else of a checkpoint, up to 1.4
// just before the header; neither does if the WAL is empty.
//
// A tail that ends inside a frame is torn: DuckDB ignores it. A whole frame with
// a bad checksum, zeros for example, makes DuckDB refuse the database, and from
// 1.5.6 on so does a marker that is not at the end.
//
// # States
//
// What header N and the WAL files mean together (see Classify):
//
//	S0 Clean     no commit in the WAL, or no WAL   header N
//	S1 Logged    commits, no marker                N + WAL
//	S2 Running   marker at the end, another root   N + WAL without marker
//	             than the header's                 (+ X.wal.checkpoint)
//	S3 Written   marker, the header's own root     N (+ X.wal.checkpoint)
//	S4 Resumed   markers, commits behind the last  N + WAL without markers
//
// The facts are from DuckDB's sources (storage/single_file_block_manager.cpp,
// storage/metadata/metadata_manager.cpp, storage/write_ahead_log.cpp,
// storage/wal_replay.cpp, common/encryption_functions.cpp,
// common/encryption_key_manager.cpp, common/checksum.cpp; releases 1.0 to 1.5)
// and were checked against files of DuckDB 1.1, 1.4 and 1.5; testdata keeps
// encrypted ones.
package duckfile
