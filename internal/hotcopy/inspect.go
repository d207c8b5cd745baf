package hotcopy

import (
	"context"
	"errors"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/vfs"
)

// Inspection is what can be read of a database, live or not, without a lock.
// Sizes and offsets are in bytes.
type Inspection struct {
	Path           string    `json:"path"`
	Bytes          int64     `json:"bytes"`
	Modified       time.Time `json:"modified"`
	StorageVersion uint64    `json:"storage_version"`
	// Opaque: encrypted, and no key was given. Then Iteration is 0, Slots is
	// empty and Blocks nil, and the WALs tell no more than their lengths.
	Opaque          bool        `json:"opaque"`
	MainHeader      MainView    `json:"main_header"`
	Iteration       uint64      `json:"iteration,omitzero"`
	Slots           []SlotView  `json:"slots,omitempty"`
	Blocks          *BlocksView `json:"blocks,omitempty"`
	WAL             *WALView    `json:"wal"`            // null: none
	CheckpointWAL   *WALView    `json:"wal_checkpoint"` // null: none
	RecoveryWAL     *WALView    `json:"wal_recovery"`   // null: none
	State           string      `json:"state"`          // S0 to S4, in words
	Checkpoint      string      `json:"checkpoint"`     // none, running, header written
	IdentifierFault bool        `json:"identifier_fault"`
	Owner           *OwnerView  `json:"owner"` // null: nobody holds the lock
}

// Inspect reads what it can of the database at path; key may be nil. It waits
// for nothing but torn reads.
func Inspect(fsys vfs.FS, path string, key *duckfile.Key) (in *Inspection, err error) {
	ctx := context.Background()
	o := Options{FS: fsys, Path: path, Key: key}
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
	recovery, err := src.openLog(ctx, duckfile.RecoverySuffix, v.head)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, recovery.close()) }()
	in = &Inspection{
		Path: path, Bytes: src.info.Size, Modified: src.info.ModTime,
		StorageVersion: v.head.StorageVersion(), Opaque: v.head.Opaque, MainHeader: mainView(v.head),
		WAL: walView(v.main), CheckpointWAL: walView(v.side), RecoveryWAL: walView(recovery),
		State:      duckfile.Classify(v.head, v.main.wal, v.side.wal).String(),
		Checkpoint: v.phase().String(), IdentifierFault: v.head.IdentifierFault(v.main.wal),
	}
	if in.Owner, err = owner(src.db); err != nil {
		return nil, sourceError(path, err)
	}
	if in.Opaque {
		in.State += ", as far as can be seen without the key"
		return in, nil
	}
	in.Iteration, in.Slots = v.head.Current().Iteration, slotViews(v.head)
	free, err := readFreeList(ctx, src, &o, v)
	if err != nil {
		return nil, err
	}
	in.Blocks = blocksView(v.head.Current(), free)
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

func owner(db vfs.File) (*OwnerView, error) {
	pid, held, err := db.LockOwner()
	if err != nil || !held {
		return nil, err
	}
	return &OwnerView{PID: pid, Executable: Executable(pid)}, nil
}
