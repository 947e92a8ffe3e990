package index

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// applyWorkspace applies an event that concerns no job. It returns the number of the job that is named in it nevertheless, or -1.
func (tx *Tx) applyWorkspace(ev *ledger.Event, at time.Time, docs DocReader) (int64, error) {
	seq := int64(-1)
	if ev.JobID != "" {
		e, err := tx.load(ev.JobID)
		if err != nil {
			return 0, err
		}
		if e != nil {
			seq = e.row.Seq
		}
	}
	switch ev.Event {
	case job.HostEnrolled, job.HostOnline:
		return seq, tx.setHost(ev, at, "online", docs)
	case job.HostOffline:
		return seq, tx.setHost(ev, at, "offline", docs)
	case job.HostDrained:
		return seq, tx.setHost(ev, at, "drained", docs)
	case job.HostRevoked:
		return seq, tx.setHost(ev, at, "revoked", docs)
	case job.ConfigLoaded:
		return seq, tx.setLimits(ev, docs)
	case job.Paused:
		var m ledger.PausedMeta
		if err := decode(ev, &m); err != nil {
			return 0, err
		}
		return seq, tx.c.run(`INSERT INTO paused (source, reason, kill, since) VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET reason = excluded.reason, kill = excluded.kill`, m.Source, m.Reason, m.Kill, at)
	case job.Resumed:
		var m ledger.PausedMeta
		if err := decode(ev, &m); err != nil {
			return 0, err
		}
		if m.Source == "" {
			return seq, tx.c.run("DELETE FROM paused")
		}
		return seq, tx.c.run("DELETE FROM paused WHERE source = ?", m.Source)
	case job.MissionSubmitted:
		return seq, tx.submitMission(ev, at, docs)
	case job.MissionCancelled, job.MissionRetried:
		return seq, tx.turnMission(ev)
	case job.MissionEnded:
		return seq, tx.endMission(ev)
	case job.DocumentRemoved:
		return seq, tx.removed(ev)
	default:
		return seq, nil
	}
}

// setHost records what became of a host. Where the event has a document, its capabilities are taken from there.
func (tx *Tx) setHost(ev *ledger.Event, at time.Time, status string, docs DocReader) error {
	var m ledger.HostMeta
	if err := decode(ev, &m); err != nil {
		return err
	}
	if m.Host == "" {
		return eventError(ev, errNoHost)
	}
	var doc struct {
		Capabilities []string `json:"capabilities"`
	}
	if ev.ArtifactSHA256 != "" {
		b, err := docs.Read(artifact(ev, m.Located))
		if err == nil {
			err = json.Unmarshal(b, &doc)
		}
		if err != nil {
			return eventError(ev, fmt.Errorf("host %s: %w", m.Host, err))
		}
	}
	capabilities, err := json.Marshal(append([]string{}, doc.Capabilities...))
	if err != nil {
		return err
	}
	sql := `INSERT INTO hosts (id, status, capabilities, max_concurrent, updated_at, last_heartbeat) VALUES (?1, ?2, ?3, ?4, ?5, 0)
  ON CONFLICT DO UPDATE SET status = ?2, updated_at = ?5, max_concurrent = CASE ?4 WHEN 0 THEN max_concurrent ELSE ?4 END`
	if ev.ArtifactSHA256 != "" {
		sql += ", capabilities = ?3"
	}
	return tx.c.run(sql, m.Host, status, string(capabilities), m.MaxConcurrent, at)
}

// Host is a host as the events describe it.
type Host struct {
	ID            string
	Status        string // online, offline, drained or revoked
	Capabilities  []string
	MaxConcurrent int
	CurrentJobs   int // leased to it or running on it
	UpdatedAt     time.Time
	LastHeartbeat time.Time
}

// Hosts returns all hosts in the order of their ids.
func (r *Reader) Hosts() ([]Host, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	var hosts []Host
	err := r.c.each(`SELECT id, status, capabilities, max_concurrent, updated_at, last_heartbeat,
    (SELECT count(*) FROM jobs WHERE host <> '' AND host = hosts.id) FROM hosts ORDER BY id`, func(s *stmt) error {
		h := Host{ID: s.ColumnText(0), Status: s.ColumnText(1), MaxConcurrent: s.ColumnInt(3), UpdatedAt: fromMicros(s.ColumnInt64(4)),
			LastHeartbeat: fromMicros(s.ColumnInt64(5)), CurrentJobs: s.ColumnInt(6)}
		hosts = append(hosts, h)
		return json.Unmarshal([]byte(s.ColumnText(2)), &hosts[len(hosts)-1].Capabilities)
	})
	return hosts, err
}

// SetHeartbeat records when a host was last heard of. It is no event, and a rebuild forgets it.
func (tx *Tx) SetHeartbeat(host string, at time.Time) error {
	return tx.c.run("UPDATE hosts SET last_heartbeat = ? WHERE id = ?", at, host)
}

// Pause says that no job of a source is dispatched.
type Pause struct {
	Source string // "" is all of them
	Reason string
	Kill   bool
	Since  time.Time
}

// Paused returns what is paused, in the order of the sources.
func (r *Reader) Paused() ([]Pause, error) {
	var pauses []Pause
	err := r.c.each("SELECT source, reason, kill, since FROM paused ORDER BY source", func(s *stmt) error {
		pauses = append(pauses, Pause{Source: s.ColumnText(0), Reason: s.ColumnText(1), Kill: s.ColumnBool(2),
			Since: fromMicros(s.ColumnInt64(3))})
		return nil
	})
	return pauses, err
}
