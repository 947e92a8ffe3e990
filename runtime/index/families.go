package index

// The families of jobs that are counted.
const (
	familyMission = "mission"
	familyParent  = "parent"
)

// addToFamily counts a job; it stays in its families for ever.
func (tx *Tx) addToFamily(family, id string) error {
	if id == "" {
		return nil
	}
	return tx.c.run("INSERT INTO families (family, id, jobs) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1", family, id)
}

// Children returns how many jobs came out of the job parent.
func (r *Reader) Children(parent string) (int, error) {
	return r.number("SELECT jobs FROM families WHERE family = ? AND id = ?", familyParent, parent)
}

// MissionJobs returns how many jobs belong to a mission.
func (r *Reader) MissionJobs(mission string) (int, error) {
	return r.number("SELECT jobs FROM families WHERE family = ? AND id = ?", familyMission, mission)
}

// number returns the first column of the first row, 0 where there is none.
func (r *Reader) number(sql string, values ...any) (n int, err error) {
	_, err = r.c.one(sql, func(s *stmt) error {
		n = s.ColumnInt(0)
		return nil
	}, values...)
	return n, err
}
