package index

// openLanes returns how many jobs may be claimed of the missions that limit how many run at a time and have ready ones. Those of
// paused sources are left out.
func (r *Reader) openLanes() (map[string]*int, error) {
	if err := r.syncCounts(); err != nil {
		return nil, err
	}
	lanes := map[string]*int{}
	err := r.c.each(`SELECT id, max_concurrent - in_flight FROM missions INDEXED BY missions_ready
  WHERE ready > 0 AND max_concurrent > 0
    AND NOT EXISTS (SELECT 1 FROM paused WHERE paused.source = '' OR paused.source = missions.source)`, func(s *stmt) error {
		left := max(0, s.ColumnInt(1))
		lanes[s.ColumnText(0)] = &left
		return nil
	})
	return lanes, err
}

// claimQueues makes a queue for each source and each lane of which jobs may be claimed.
func claimQueues(open []population, lanes map[string]*int) []*claimQueue {
	queues := make([]*claimQueue, 0, len(open)+len(lanes))
	for _, p := range open {
		queues = append(queues, &claimQueue{population: p})
	}
	for lane, room := range lanes {
		if *room > 0 {
			queues = append(queues, &claimQueue{lane: lane, room: room})
		}
	}
	return queues
}
