package pipeline

import "time"

// later puts off the files of jobs that were just admitted and are about to run in this very process: a job that is over
// before its files were due never needs to be shown as waiting. The markers of their batches stay until they are placed.
type later struct {
	on    bool // a tick is at work
	queue []dueFile
	ids   map[string]struct{}
}

type dueFile struct {
	id    string
	due   time.Time
	batch int64 // the first that may have changed the job, by number
}

// Bounds of putting off: for how long, and how many files are written in one pass of the engine.
const (
	laterFor  = 3 * time.Second
	laterPass = 200
)

func (l *later) add(id string, now time.Time, batch int64) {
	if l.ids == nil {
		l.ids = map[string]struct{}{}
	}
	l.ids[id] = struct{}{}
	l.queue = append(l.queue, dueFile{id, now.Add(laterFor), batch})
}

// oldest is the batch of the file that has been put off for longest, and false where none is.
func (l *later) oldest() (batch int64, ok bool) {
	for ; len(l.queue) > 0; l.queue = l.queue[1:] {
		if _, wanted := l.ids[l.queue[0].id]; wanted {
			return l.queue[0].batch, true
		}
	}
	return 0, false
}

// drop forgets a job whose files are in place.
func (l *later) drop(id string) { delete(l.ids, id) }

// take returns up to n jobs whose time has come; all is those whose time has not, too.
func (l *later) take(now time.Time, n int, all bool) []string {
	var ids []string
	for len(l.queue) > 0 && len(ids) < n {
		f := l.queue[0]
		_, wanted := l.ids[f.id]
		if wanted && !all && now.Before(f.due) {
			break
		}
		l.queue = l.queue[1:]
		if wanted {
			delete(l.ids, f.id)
			ids = append(ids, f.id)
		}
	}
	return ids
}

// placeLater writes the files that were put off and are due, or all of them.
func (p *Pipeline) placeLater(all bool) {
	for {
		ids := p.later.take(p.now(), laterPass, all)
		p.placeAll(ids)
		if len(ids) < laterPass || !all {
			return
		}
	}
}
