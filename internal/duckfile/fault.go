package duckfile

import "encoding/binary"

// Where the main header's identifier lies.
const (
	identifierStart = 124
	identifierEnd   = 140
)

// upgradedVersion is what DuckDB 1.2 to 1.5 put into the main header when they
// raise the storage version of a file, whatever they raise it to.
const upgradedVersion = 65

// IdentifierFault reports a fault of DuckDB 1.4 to 1.5.6: the rewrite of the
// main header at a storage upgrade leaves a random identifier there, while the
// process goes on writing zeros into its WAL. Both are whole, but DuckDB
// refuses the pair. A copy can be repaired with RepairIdentifier.
func (h *Headers) IdentifierFault(w *WAL) bool {
	var none [16]byte
	return !h.Main.Encrypted() && h.Main.Version == upgradedVersion && h.Main.Identifier != none &&
		w != nil && w.Header.HasIdentifier && w.Header.Identifier == none
}

// RepairIdentifier gives the main header of an unencrypted file, its first 4096
// bytes, the identifier of zeros that its WAL carries. An encrypted file's
// identifier takes part in its key and must stay.
func RepairIdentifier(slot0 []byte) {
	slot0 = slot0[:HeaderSize]
	clear(slot0[identifierStart:identifierEnd])
	binary.LittleEndian.PutUint64(slot0, Checksum(slot0[8:]))
}
