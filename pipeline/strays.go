package pipeline

import (
	"encoding/json"
	"maps"
	"os"

	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// strays is what of the inbox was told of and left alone, by path, as it was then. It is kept in a file, because cron would
// mail every minute what each tick finds again. It is no part of the history: who deletes the file is told once more.
type strays map[string]workspace.Stray

// mostStrays bounds the file. Where more lie about, the rest is named by status and doctor only.
const mostStrays = 1000

// toldOf reports whether a stray, as it is now, was told of before.
func (p *Pipeline) toldOf(s workspace.Stray) bool {
	if p.strays == nil {
		// What cannot be read or understood was not told.
		if b, err := os.ReadFile(p.ws.Strays()); err != nil || json.Unmarshal(b, &p.strays) != nil || p.strays == nil {
			p.strays = strays{}
		}
	}
	known, ok := p.strays[s.Path]
	return ok && known == s || !ok && len(p.strays) >= mostStrays
}

// tellStrays warns of what a scan has found that was not told before, and remembers that.
func (p *Pipeline) tellStrays(scan *workspace.Scanner) {
	list := scan.Strays()
	if len(list) == 0 {
		return
	}
	maps.DeleteFunc(p.strays, func(path string, s workspace.Stray) bool { return !exists(p.ws.StrayPath(s)) })
	for _, s := range list {
		p.warn("%s", s)
		if !s.Passing {
			p.strays[s.Path] = s
		}
	}
	b, err := json.Marshal(p.strays)
	if err == nil {
		err = durable.ReplaceFile(p.ws.Strays(), b, 0o600)
	}
	if err != nil {
		p.tellOnce([]string{err.Error()})
	}
}
