package hotcopy

import (
	"context"
	"errors"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/vfs"
)

// Inspection is what can be read of a database, live or not, without a lock.
// Sizes are in bytes.
type Inspection struct {
	Path           string      `json:"path"`
	Bytes          int64       `json:"bytes"`
	Modified       time.Time   `json:"modified"`
	StorageVersion uint64      `json:"storage_version"`
	Library        string      `json:"library"`
	Iteration      uint64      `json:"iteration"`
	BlockBytes     int64       `json:"block_bytes"`
	BlockCount     int64       `json:"block_count"`
	UsedBlocks     int64       `json:"used_blocks"`
	FreeBlocks     int64       `json:"free_blocks"`
	MetadataBlocks int         `json:"metadata_blocks"`
	Slots          [2]SlotView `json:"slots"`
	WAL            *WALView    `json:"wal"`            // null: none
	CheckpointWAL  *WALView    `json:"wal_checkpoint"` // null: none
	Checkpoint     string      `json:"checkpoint"`     // none, running, header written
	Owner          *OwnerView  `json:"owner"`          // null: nobody holds the lock
}

// SlotView is one of the two database headers.
type SlotView struct {
	Iteration     uint64 `json:"iteration"`
	MetaBlock     string `json:"meta_block"`
	FreeList      string `json:"free_list"`
	BlockCount    int64  `json:"block_count"`
	Compatibility uint64 `json:"compatibility"`
	Current       bool   `json:"current"`
}

// WALView is a write-ahead log: CommittedBytes end with the last commit, the
// rest is no part of any.
type WALView struct {
	Path           string `json:"path"`
	Bytes          int64  `json:"bytes"`
	CommittedBytes int64  `json:"committed_bytes"`
	Commits        int64  `json:"commits"`
	Markers        int    `json:"checkpoint_markers"`
	Blocks         bool   `json:"refers_to_blocks"`
	Tail           string `json:"tail,omitempty"`
}

// OwnerView is who holds the lock. PID is 0 for a process outside this PID
// namespace; Executable is empty where it may not be read.
type OwnerView struct {
	PID        int    `json:"pid"`
	Executable string `json:"executable,omitempty"`
}

// Inspect reads what it can of the database at path. It waits for nothing but
// torn reads.
func Inspect(fsys vfs.FS, path string) (in *Inspection, err error) {
	ctx := context.Background()
	o := Options{FS: fsys, Path: path}
	o.fillIn()
	src, err := openSource(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	v, err := src.look(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	cur := v.head.Current()
	in = &Inspection{
		Path: path, Bytes: src.info.Size, Modified: src.info.ModTime,
		StorageVersion: v.head.StorageVersion(), Library: v.head.Main.Library,
		Iteration: cur.Iteration, BlockBytes: cur.BlockAllocSize, BlockCount: cur.BlockCount,
		WAL: walView(v.main), CheckpointWAL: walView(v.side), Checkpoint: v.phase().String(),
	}
	for i := range v.head.Slots {
		in.Slots[i] = slotView(&v.head.Slots[i], cur)
	}
	if in.Owner, err = owner(src.db); err != nil {
		return nil, sourceError(path, err)
	}
	free, err := readFreeList(ctx, src, &o, v)
	if err != nil {
		return nil, err
	}
	in.FreeBlocks, in.MetadataBlocks = int64(len(free.Free)), len(free.Meta)
	in.UsedBlocks = cur.BlockCount - in.FreeBlocks
	return in, nil
}

// readFreeList reads the list of the view's header, again where a checkpoint
// rewrites its block at this moment.
func readFreeList(ctx context.Context, src *source, o *Options, v *view) (*duckfile.FreeList, error) {
	for try := 1; ; try++ {
		free, err := duckfile.ReadFreeList(src.db, v.head)
		if err == nil {
			return free, nil
		}
		if try == blockTries {
			return nil, formatError(src.path, err)
		}
		if err := o.sleep(ctx, blockBackoff(try)); err != nil {
			return nil, err
		}
	}
}

func slotView(s, cur *duckfile.DatabaseHeader) SlotView {
	return SlotView{
		Iteration: s.Iteration, MetaBlock: s.MetaBlock.String(), FreeList: s.FreeList.String(),
		BlockCount: s.BlockCount, Compatibility: s.Compatibility, Current: s == cur,
	}
}

func walView(l *log) *WALView {
	if l.file == nil {
		return nil
	}
	w := &WALView{Path: l.path, Bytes: l.info.Size, CommittedBytes: l.wal.End, Commits: l.wal.Commits, Markers: len(l.wal.Markers), Blocks: l.wal.RowGroups}
	if l.wal.Tail != nil {
		w.Tail = l.wal.Tail.Error()
	}
	return w
}

func owner(db vfs.File) (*OwnerView, error) {
	pid, held, err := db.LockOwner()
	if err != nil || !held {
		return nil, err
	}
	return &OwnerView{PID: pid, Executable: Executable(pid)}, nil
}
