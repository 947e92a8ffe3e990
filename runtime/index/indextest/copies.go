// Package indextest fills an index for measurements: with more jobs than it would be bearable to propose.
package indextest

import (
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// firstCopy is where the sequence numbers of copies begin, beyond those of any ledger that a test would write.
const firstCopy = 500_000_000

// perTransaction bounds what SQLite has to keep in memory.
const perTransaction = 100_000

// Copy puts n copies of a job into the index at path, as if as many proposals had gone its way: same source, status and
// dependencies, other ids, each due a microsecond after the one before. No event knows them, so that the index no longer
// agrees with its ledger; nothing else writes to it meanwhile.
func Copy(path, id string, n int) error {
	c, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READWRITE)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer c.Close()
	columns, err := columnsOf(c)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := c.Exec("PRAGMA cache_size = -65536"); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for done := 0; done < n; done += perTransaction {
		if err := copySome(c, columns, id, done, min(n-done, perTransaction)); err != nil {
			return fmt.Errorf("%s: copies of %s: %w", path, id, err)
		}
	}
	return nil
}

// copySome makes the n copies that are due behind the first done ones.
func copySome(c *sqlite3.Conn, columns []string, id string, done, n int) error {
	quoted := sqlite3.Quote(id)
	name := "id || '-' || (base.seq + n.i)"
	instead := map[string]string{
		"seq":             "base.seq + n.i",
		"id":              name,
		"trace_id":        name,
		"idempotency_key": name,
		"due_at":          fmt.Sprintf("due_at + %d + n.i", done),
	}
	values := make([]string, len(columns))
	for i, column := range columns {
		values[i] = "j." + column
		if v, ok := instead[column]; ok {
			values[i] = v
		}
	}
	numbers := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)", n)
	for _, sql := range []string{
		"BEGIN IMMEDIATE",
		fmt.Sprintf("CREATE TEMP TABLE base AS SELECT max(%d, max(seq)) AS seq FROM jobs", firstCopy),
		numbers + " INSERT INTO jobs (" + strings.Join(columns, ", ") + ") SELECT " + strings.Join(values, ", ") +
			" FROM base CROSS JOIN (SELECT * FROM jobs WHERE id = " + quoted + ") AS j CROSS JOIN n",
		numbers + " INSERT INTO deps (job, depends_on, follows, done) SELECT base.seq + n.i, depends_on, follows, done" +
			" FROM base CROSS JOIN deps CROSS JOIN n WHERE job = (SELECT seq FROM jobs WHERE id = " + quoted + ")",
		addToCounts(quoted, n),
		"DROP TABLE base",
		"COMMIT",
	} {
		if err := c.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}

func columnsOf(c *sqlite3.Conn) (columns []string, err error) {
	s, _, err := c.Prepare("SELECT name FROM pragma_table_info('jobs')")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for s.Step() {
		columns = append(columns, s.ColumnText(0))
	}
	return columns, s.Err()
}

func addToCounts(id string, n int) string {
	var sets []string
	for _, status := range []string{"pending", "throttled", "running", "completed", "failed", "quarantined", "cancelled"} {
		sets = append(sets, fmt.Sprintf("%s = %s + %d * (j.status = '%s')", status, status, n, status))
	}
	return fmt.Sprintf("UPDATE counts SET %s, inbox = inbox + %d * (j.zone = 'inbox'), ready = counts.ready + %d * j.ready,"+
		" in_flight = in_flight + %d * (j.host <> '' OR j.status = 'running') FROM jobs AS j"+
		" WHERE j.id = %s AND counts.bucket = j.bucket AND counts.source = j.source", strings.Join(sets, ", "), n, n, n, id)
}
