package hotcopy

import (
	"encoding/hex"
	"fmt"
	"math/bits"

	"canvasback/internal/duckfile"
)

// The parts of an Inspection name their fields as the format does and list them
// in the order of the bytes.

// MainView is the main header.
type MainView struct {
	Checksum   string          `json:"checksum"`
	Version    uint64          `json:"version"`
	Flags      uint64          `json:"flags"` // the first word; the rest has no meaning yet
	Library    string          `json:"library"`
	SourceID   string          `json:"source_id"`
	Encryption *EncryptionView `json:"encryption"` // null: a plain file
	Identifier string          `json:"identifier"`
}

// EncryptionView is what the main header says of it.
type EncryptionView struct {
	KeyDerivation string `json:"key_derivation"`
	Cipher        string `json:"cipher"`
	Version       uint8  `json:"version"`
	KeyBytes      uint32 `json:"key_bytes"`
	Canary        string `json:"canary"`
	CanaryNonce   string `json:"canary_nonce"`
	CanaryTag     string `json:"canary_tag"`
}

// SlotView is one of the two database headers.
type SlotView struct {
	Offset        int64  `json:"offset"`
	Checksum      string `json:"checksum"`
	Iteration     uint64 `json:"iteration"`
	MetaBlock     string `json:"meta_block"`
	FreeList      string `json:"free_list"`
	BlockCount    int64  `json:"block_count"`
	BlockBytes    int64  `json:"block_bytes"`
	VectorSize    uint64 `json:"vector_size"`
	Compatibility uint64 `json:"compatibility"`
	Current       bool   `json:"current"`
}

// BlocksView is what the current header and its free list say of the blocks.
type BlocksView struct {
	Bytes         int64        `json:"bytes"` // of one
	Count         int64        `json:"count"`
	Used          int64        `json:"used"`
	Free          int64        `json:"free"`
	FreeListChain []int64      `json:"free_list_chain"` // block ids, in the order read
	Shared        []SharedView `json:"shared"`
	Metadata      []MetaView   `json:"metadata"`
}

// SharedView is a block that several segments use.
type SharedView struct {
	ID   int64  `json:"id"`
	Uses uint32 `json:"uses"`
}

// MetaView is a metadata block; it has 64 sub-blocks.
type MetaView struct {
	ID            int64 `json:"id"`
	FreeSubBlocks int   `json:"free_sub_blocks"`
}

// WALView is a write-ahead log: CommittedBytes end with the last commit, the
// rest is no part of any. Identifier and Iteration are missing where the log
// carries none. Of an opaque log Frames knows the commits' FLUSH only, markers
// count as commits, and NeedsWrite and RefersToBlocks are assumed.
type WALView struct {
	Path           string           `json:"path"`
	Bytes          int64            `json:"bytes"`
	Version        uint64           `json:"version"`
	Identifier     string           `json:"identifier,omitempty"`
	Iteration      *uint64          `json:"iteration,omitempty"`
	Opaque         bool             `json:"opaque"`
	Commits        int64            `json:"commits"`
	CommittedBytes int64            `json:"committed_bytes"`
	FrameCount     int64            `json:"frame_count"`
	Frames         map[string]int64 `json:"frames"` // by DuckDB's name of the entry type
	Markers        []MarkerView     `json:"checkpoint_markers"`
	RefersToBlocks bool             `json:"refers_to_blocks"`
	NeedsWrite     bool             `json:"needs_write"` // read-only replay fails up to DuckDB 1.5.6
	WholeBytes     int64            `json:"whole_bytes"` // up to the tail
	Tail           string           `json:"tail,omitempty"`
}

// MarkerView is a checkpoint marker, from its frame's start to the end of its
// FLUSH.
type MarkerView struct {
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	MetaBlock string `json:"meta_block"` // that the announced header will have
	Flushed   bool   `json:"flushed"`
}

// OwnerView is who holds the lock. PID is 0 for a process outside this PID
// namespace; Executable is empty where it may not be read.
type OwnerView struct {
	PID        int    `json:"pid"`
	Executable string `json:"executable,omitempty"`
}

func mainView(h *duckfile.Headers) MainView {
	m := &h.Main
	v := MainView{
		Checksum: checksum(m.Checksum), Version: m.Version, Flags: m.Flags[0],
		Library: m.Library, SourceID: m.SourceID, Identifier: hex.EncodeToString(m.Identifier[:]),
	}
	if e := &m.Encryption; m.Encrypted() {
		v.Encryption = &EncryptionView{
			KeyDerivation: "SHA-256", Cipher: e.Cipher.String(), Version: e.Version, KeyBytes: e.KeyLength,
			Canary: hex.EncodeToString(e.Canary[:]), CanaryNonce: hex.EncodeToString(e.Nonce[:]), CanaryTag: hex.EncodeToString(e.Tag[:]),
		}
	}
	return v
}

func checksum(sum uint64) string { return fmt.Sprintf("%016x", sum) }

func slotViews(h *duckfile.Headers) []SlotView {
	var views []SlotView
	for i := range h.Slots {
		s := &h.Slots[i]
		views = append(views, SlotView{
			Offset: duckfile.HeaderSize * int64(i+1), Checksum: checksum(s.Checksum), Iteration: s.Iteration,
			MetaBlock: s.MetaBlock.String(), FreeList: s.FreeList.String(), BlockCount: s.BlockCount, BlockBytes: s.BlockAllocSize,
			VectorSize: s.VectorSize, Compatibility: s.Compatibility, Current: s == h.Current(),
		})
	}
	return views
}

func blocksView(cur *duckfile.DatabaseHeader, l *duckfile.FreeList) *BlocksView {
	free := int64(len(l.Free))
	v := &BlocksView{
		Bytes: cur.BlockAllocSize, Count: cur.BlockCount, Used: cur.BlockCount - free, Free: free,
		FreeListChain: append([]int64{}, l.Chain...), Shared: []SharedView{}, Metadata: []MetaView{},
	}
	for _, s := range l.Shared {
		v.Shared = append(v.Shared, SharedView{ID: s.ID, Uses: s.Uses})
	}
	for _, m := range l.Meta {
		v.Metadata = append(v.Metadata, MetaView{ID: m.ID, FreeSubBlocks: bits.OnesCount64(m.FreeMask)})
	}
	return v
}

func walView(l *log) *WALView {
	if l.file == nil {
		return nil
	}
	w := l.wal
	v := &WALView{
		Path: l.path, Bytes: l.info.Size, Version: w.Header.Version, Opaque: w.Opaque,
		Commits: w.Commits, CommittedBytes: w.End, FrameCount: w.Frames, Frames: map[string]int64{},
		Markers: []MarkerView{}, RefersToBlocks: w.RowGroups, NeedsWrite: w.NeedsWrite, WholeBytes: w.Scanned,
	}
	if w.Header.HasIdentifier {
		v.Identifier = hex.EncodeToString(w.Header.Identifier[:])
	}
	if w.Header.HasIteration {
		v.Iteration = &w.Header.Iteration
	}
	for kind, n := range w.Entries {
		v.Frames[duckfile.EntryName(kind)] += n
	}
	for _, m := range w.Markers {
		v.Markers = append(v.Markers, MarkerView{Start: m.Start, End: m.End, MetaBlock: m.MetaBlock.String(), Flushed: m.Flushed})
	}
	if w.Tail != nil {
		v.Tail = w.Tail.Error()
	}
	return v
}
