package index

// Cycle looks for a way from one of deps back to id: a job that is to depend on deps would wait for itself. Where it revises
// another one, those who wait for that one will wait for it. It returns the way, beginning and ending with id, or nil where there
// is none among the first limit jobs looked at. more says that there were more jobs than that.
//
// Only what is not completed can keep anybody waiting, and a job for which nobody waits closes no cycle: mostly one look at an
// index is all.
func (r *Reader) Cycle(id, revises string, deps []string, limit int) (way []string, more bool, err error) {
	if err := r.sync(); err != nil {
		return nil, false, err
	}
	ends := func(next string) bool { return next == id || next == revises && revises != "" }
	from := map[string]string{} // who led to it; also the set of those seen
	var todo []string
	found := ""
	look := func(next, by string) {
		if _, seen := from[next]; !seen {
			from[next] = by
			todo = append(todo, next)
		}
		if found == "" && ends(next) {
			found = next
		}
	}
	for _, d := range deps {
		last, err := r.lastRevision(d)
		if err != nil {
			return nil, false, err
		}
		look(last, "")
	}
	if found == "" {
		awaited, err := r.awaited(id, revises)
		if err != nil || !awaited {
			return nil, false, err
		}
	}
	for n := 0; n < len(todo) && found == ""; n++ {
		if n >= limit {
			return nil, true, nil
		}
		at := todo[n]
		err := r.c.each("SELECT follows FROM deps WHERE job = (SELECT seq FROM jobs WHERE id = ?) AND done = 0 ORDER BY depends_on LIMIT ?",
			func(s *stmt) error {
				look(s.ColumnText(0), at)
				return nil
			}, at, limit)
		if err != nil {
			return nil, false, err
		}
	}
	if found == "" {
		return nil, false, nil
	}
	way = []string{id}
	for at := from[found]; at != ""; at = from[at] {
		way = append([]string{at}, way...)
	}
	return append([]string{id}, way...), false, nil
}

// awaited reports whether a job depends on one of ids.
func (r *Reader) awaited(ids ...string) (bool, error) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		found, err := r.c.one(existsFollower, func(*stmt) error { return nil }, id)
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// lastRevision is the job that stands for id: itself, or where it was revised, the last revision of it.
func (r *Reader) lastRevision(id string) (string, error) {
	for range revisions {
		next := ""
		_, err := r.c.one("SELECT revised_by FROM jobs WHERE id = ?", func(s *stmt) error {
			next = s.ColumnText(0)
			return nil
		}, id)
		if err != nil || next == "" {
			return id, err
		}
		id = next
	}
	return id, nil
}
