package index

// openTracks returns how many jobs may be claimed of the missions that limit how many run at a time and have ready ones. Those of
// paused sources are left out.
func (r *Reader) openTracks() (map[string]*int, error) {
	if err := r.syncCounts(); err != nil {
		return nil, err
	}
	tracks := map[string]*int{}
	err := r.c.each(`SELECT id, max_concurrent - in_flight FROM missions INDEXED BY missions_ready
  WHERE ready > 0 AND max_concurrent > 0
    AND NOT EXISTS (SELECT 1 FROM paused WHERE paused.source = '' OR paused.source = missions.source)`, func(s *stmt) error {
		left := max(0, s.ColumnInt(1))
		tracks[s.ColumnText(0)] = &left
		return nil
	})
	return tracks, err
}

// claimQueues makes a queue for each source and each track of which jobs may be claimed.
func claimQueues(open []population, tracks map[string]*int) []*claimQueue {
	queues := make([]*claimQueue, 0, len(open)+len(tracks))
	for _, p := range open {
		queues = append(queues, &claimQueue{from: claimHeads, keys: []any{p.bucket, p.source}})
	}
	for track, room := range tracks {
		if *room > 0 {
			queues = append(queues, &claimQueue{from: trackHeads, keys: []any{track}, room: room})
		}
	}
	return queues
}
