package stress_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// mix makes proposals of all kinds, and remembers what may become of them.
type mix struct {
	s    *site
	n    int
	want map[string]want
}

// next makes one proposal. With anonymous it has no id, and is of a kind of which nothing else is known.
func (m *mix) next(anonymous bool) (id, doc string) {
	i := m.n
	m.n++
	id = fmt.Sprintf("j%06d", i)
	exec := func(stdin string, argv ...string) map[string]any {
		return map[string]any{"kind": "exec", "params": map[string]any{"argv": argv, "stdin": stdin}}
	}
	p := map[string]any{"id": id, "max_retries": 0}
	w := want{fate: safe}
	switch kind := i % 10; {
	case anonymous:
		delete(p, "id")
		p["payload"] = map[string]any{"kind": "noop", "params": map[string]any{}}
	case kind == 0:
		p["payload"] = map[string]any{"kind": "noop", "params": map[string]any{}}
	case kind == 1:
		p["payload"] = map[string]any{"kind": "exec", "params": map[string]any{"argv": []string{"true"}}}
	case kind == 2:
		p["payload"] = map[string]any{"kind": "file_read", "params": map[string]any{"path": "in.txt"}}
		if dep := fmt.Sprintf("j%06d", i-1); m.want[dep].fate == safe && m.has(dep) {
			p["depends_on"] = []string{dep}
		}
	case kind == 3 || kind == 8:
		p["payload"] = exec(id+"\n", "tee", "-a", m.s.marks)
		w = want{fate: unsafe, mark: id}
	case kind == 4:
		p["payload"] = exec(id+"\n", "tee", "-a", m.s.marks)
		w = want{fate: unsafe, mark: id}
		if dep := fmt.Sprintf("j%06d", i-1); m.has(dep) {
			p["depends_on"] = []string{dep}
			w = want{fate: waiting, mark: id, dep: dep}
		}
	case kind == 5 && i%20 == 5:
		p["payload"] = exec("", "no-such-program")
		w = want{fate: blocked}
	case kind == 5:
		p["payload"] = map[string]any{"kind": "file_write",
			"params": map[string]any{"path": "written.txt", "mode": "append", "content": id + "\n"}}
		w = want{fate: manual, mark: id}
	case kind == 6 && i%50 == 6:
		p["payload"] = exec(id+"\n", "tee", "-a", m.s.marks, "/dev/null/nothing")
		p["max_retries"] = 1
		w = want{fate: failing, mark: id}
	case kind == 6 || kind == 7:
		// Both halves of a pair carry the same key and the same payload.
		key := fmt.Sprintf("k%06d", i-kind)
		if kind == 7 && (i-1)%50 == 6 {
			key = id
		}
		p["payload"] = exec(key+"\n", "tee", "-a", m.s.marks)
		p["idempotency_key"] = key
		w = want{fate: shared, mark: key}
	default:
		p["payload"] = map[string]any{"kind": "exec", "params": map[string]any{"argv": []string{"echo", id}}}
	}
	if !anonymous {
		m.want[id] = w
	}
	b, err := json.Marshal(p)
	if err != nil {
		m.s.t.Fatal(err)
	}
	return id, string(b)
}

func (m *mix) has(id string) bool { _, ok := m.want[id]; return ok }

// batch makes n proposals as JSON lines; every seventh line has no id where anonymous is given.
func (m *mix) batch(n int, anonymous bool) (ids []string, text string) {
	var b strings.Builder
	for i := range n {
		id, doc := m.next(anonymous && i%7 == 0)
		ids = append(ids, id)
		b.WriteString(doc + "\n")
	}
	return ids, b.String()
}

// known is what is expected of everything that was made so far.
func (m *mix) known() map[string]want { return maps.Clone(m.want) }
