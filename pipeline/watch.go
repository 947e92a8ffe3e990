package pipeline

import (
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watcher wakes a loop when files appear in the inbox. It only saves time: what it misses, the next look finds.
type watcher struct {
	fs   *fsnotify.Watcher
	wake chan struct{}
}

// watchInbox watches the inbox and the folders of its sources, as far as the system lets it.
func (p *Pipeline) watchInbox() *watcher {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		p.note("files in the inbox are found by looking once in a while: %v", err)
		return nil
	}
	w := &watcher{fs: fs, wake: make(chan struct{}, 1)}
	w.add(p.ws.Inbox())
	if list, err := os.ReadDir(p.ws.Inbox()); err == nil {
		for _, d := range list {
			if d.IsDir() {
				w.add(filepath.Join(p.ws.Inbox(), d.Name()))
			}
		}
	}
	go w.loop()
	return w
}

// add watches one folder; one that cannot be watched is looked at once in a while like all.
func (w *watcher) add(dir string) { _ = w.fs.Add(dir) }

func (w *watcher) loop() {
	for {
		select {
		case ev, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if ev.Has(fsnotify.Create) {
				if info, err := os.Lstat(ev.Name); err == nil && info.IsDir() {
					w.add(ev.Name)
				}
			}
			select {
			case w.wake <- struct{}{}:
			default:
			}
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
		}
	}
}

// fired reports whether something has happened since it was last asked.
func (w *watcher) fired() bool {
	if w == nil {
		return false
	}
	select {
	case <-w.wake:
		return true
	default:
		return false
	}
}

// C is ready when something happens; it is never ready on a nil watcher.
func (w *watcher) C() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.wake
}

func (w *watcher) close() {
	if w != nil {
		w.fs.Close()
	}
}
