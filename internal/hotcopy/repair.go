package hotcopy

import "canvasback/internal/duckfile"

// repair mends a fault of DuckDB 1.4 to 1.5.6 in the copy: after a storage
// upgrade the main header carries an identifier that the WAL does not, and
// DuckDB refuses the pair. The live file stays as it is.
func (c *copier) repair(p *pass, v *verdict) error {
	if p.WALBytes == 0 || !p.view.head.IdentifierFault(p.view.main.wal) {
		return nil
	}
	slot := append([]byte(nil), p.view.head.Raw[:duckfile.HeaderSize]...)
	duckfile.RepairIdentifier(slot)
	if _, err := c.stage.db.WriteAt(slot, 0); err != nil {
		return stageError(c.stage.dir, err)
	}
	v.say("repaired", "the main header's identifier was random after a storage upgrade, a fault of DuckDB 1.4 to 1.5.6, and is zero in the copy, as in its WAL")
	return nil
}
