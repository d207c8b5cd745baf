package repo

import (
	"errors"
	"io/fs"
	"path/filepath"

	"canvasback/internal/vfs"
)

// maxToldBytes bounds what is read of the record into memory.
const maxToldBytes = 1 << 20

// Told returns the record of what people were told about the runs of a
// database, as EditTold left it; nil where there is none.
func (r *Repo) Told(database string) ([]byte, error) {
	dir, found, err := r.databaseDir(database)
	if err != nil || !found {
		return nil, err
	}
	data, err := r.readSmall(filepath.Join(dir, toldName), maxToldBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// EditTold changes that record in one atomic and durable step: edit gets it as it
// is now, nil where there is none, and returns what it is to be, nil to leave it
// alone. Nobody else can change it until EditTold returns, so edit must be
// short. An error of edit is returned as it is, and nothing is written then.
// Busy after ten seconds of waiting for another process.
func (r *Repo) EditTold(database string, edit func(data []byte) ([]byte, error)) error {
	dir, err := r.ensureDatabaseDir(database)
	if err != nil {
		return err
	}
	return r.editing(database, func() error {
		data, err := r.Told(database)
		if err != nil {
			return err
		}
		data, err = edit(data)
		if err != nil || data == nil {
			return err
		}
		name := filepath.Join(dir, toldName)
		if err := vfs.WriteAtomic(r.fs, name, data, filePerm); err != nil {
			return writeError(err, "write %s", name)
		}
		return nil
	})
}
