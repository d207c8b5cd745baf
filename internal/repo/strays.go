package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"canvasback/internal/vfs"
)

// Strays lists what is in the directory of a database and belongs to nothing:
// paths, each with a word of what is wrong. Among them are a SHA256SUMS that is
// not that of the manifest. What runs have staged, and what is in the trash, is
// none. Faulty manifests are List's to report.
func (r *Repo) Strays(database string) ([]string, error) {
	dbDir, found, err := r.databaseDir(database)
	if err != nil || !found {
		return nil, err
	}
	entries, err := r.fs.ReadDir(dbDir)
	if err != nil {
		return nil, writeError(err, "list %s", dbDir)
	}
	var strays []string
	var faults []error
	for _, e := range entries {
		path := filepath.Join(dbDir, e.Name())
		switch {
		case ValidID(e.Name()) && e.IsDir():
			found, err := r.straysOf(database, e.Name())
			strays, faults = append(strays, found...), append(faults, err)
		case e.IsDir() && (e.Name() == stagingName || e.Name() == trashName):
		case e.Name() == lockName, e.Name() == editName, e.Name() == recordName, e.Name() == toldName, vfs.IsTemp(e.Name()):
		default:
			strays = append(strays, path+": belongs to no backup")
		}
	}
	return strays, errors.Join(faults...)
}

// straysOf lists what is in the directory of a backup beside it.
func (r *Repo) straysOf(database, id string) ([]string, error) {
	dir := r.BackupDir(database, id)
	m, err := r.load(database, id)
	if errors.Is(err, fs.ErrNotExist) {
		if there, err := realDir(r.fs, dir); err != nil || !there {
			return nil, err // removed just now
		}
		return []string{dir + ": has no manifest, so it is no backup; a later run sweeps it"}, nil
	}
	if err != nil {
		return nil, nil // List says so
	}
	entries, err := r.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, writeError(err, "list %s", dir)
	}
	known := map[string]bool{
		manifestName: true, sumsName: true, pinName: true, drillsName: true, checkName: true, removedName: true, lockName: true,
	}
	for _, f := range m.Files {
		known[f.Name] = true
	}
	var strays []string
	for _, e := range entries {
		if !known[e.Name()] && !vfs.IsTemp(e.Name()) {
			strays = append(strays, filepath.Join(dir, e.Name())+": the manifest does not name it")
		}
	}
	sums := filepath.Join(dir, sumsName)
	data, err := r.readSmall(sums, maxManifestBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if there, err := realDir(r.fs, dir); err != nil || !there {
			return nil, err // removed just now
		}
		strays = append(strays, sums+": is missing")
	case err != nil:
		return strays, err
	case !bytes.Equal(data, sumsOf(m)):
		strays = append(strays, sums+": does not say what the manifest says")
	}
	return strays, nil
}

// sumsOf is the content of SHA256SUMS.
func sumsOf(m *Manifest) []byte {
	var sums strings.Builder
	for _, f := range m.Files {
		fmt.Fprintf(&sums, "%s  %s\n", f.SHA256, f.Name)
	}
	return []byte(sums.String())
}
