package restore

import (
	"slices"
	"strings"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

// chooseTables finds the tables that are asked for, all for none, among those
// that the manifest has; nil where no engine has read the backup. UnknownTable
// names what is near.
func chooseTables(m *repo.Manifest, asked []string) ([]repo.Table, error) {
	if !HasTables(m) {
		return nil, nil
	}
	all := m.Verification.Tables
	if len(asked) == 0 {
		return all, nil
	}
	var chosen []repo.Table
	for _, name := range asked {
		i := findTable(all, name)
		if i < 0 {
			return nil, failure.Errorf(failure.UnknownTable, "backup %s of %s has no table %s%s", m.ID, m.Database, name, near(all, name))
		}
		if !slices.Contains(chosen, all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// findTable takes a name as the manifest has it, or without "main."; names
// that differ in case only are the same to the engine.
func findTable(all []repo.Table, name string) int {
	quoted := name
	if strings.ContainsAny(name, `."`) {
		quoted = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	for _, form := range []string{name, "main." + name, "main." + quoted} {
		if i := slices.IndexFunc(all, func(t repo.Table) bool { return strings.EqualFold(t.Name, form) }); i >= 0 {
			return i
		}
	}
	return -1
}

// near lists the tables with the most similar names, the likeliest first.
func near(all []repo.Table, name string) string {
	const most = 5
	if len(all) == 0 {
		return ": it has none"
	}
	distance := func(t repo.Table) int {
		full := strings.ToLower(t.Name)
		_, base, _ := strings.Cut(full, ".")
		name := strings.ToLower(name)
		return min(edits(name, full), edits(name, base))
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b repo.Table) int { return distance(a) - distance(b) })
	var names []string
	for _, t := range sorted[:min(most, len(sorted))] {
		names = append(names, t.Name)
	}
	text := ": it has " + strings.Join(names, ", ")
	if len(all) > most {
		text += " and others"
	}
	return text
}

// edits is the number of bytes to insert, remove or replace between a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
