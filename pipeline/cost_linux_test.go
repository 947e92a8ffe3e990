package pipeline

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// threadTime is the CPU time of the thread that asks: other tests do not count, and neither does a busy machine.
func threadTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// least is the CPU time of the fastest of some runs.
func least(runs int, f func()) time.Duration {
	best := time.Duration(1 << 62)
	for range runs {
		start := threadTime()
		f()
		best = min(best, threadTime()-start)
	}
	return best
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func payload(kind, params string) string {
	return `{"payload":{"kind":"` + kind + `","params":` + params + `}}`
}

// costly are the shapes of proposals that a search over some thousand found to cost the most, each of about so many bytes.
var costly = map[string]func(n int) string{
	"names of secrets, unparseable": func(n int) string { return "{" + strings.Repeat("_pass=", n/6) },
	"names of secrets":              func(n int) string { return content(strings.Repeat("_pass=", n/6)) },
	"names of secrets, a credential behind them": func(n int) string {
		return content(strings.Repeat("_pass=", n/6) + " AKIA" + "QYLPMN5HHHFPZAM2 ")
	},
	"placeholders": func(n int) string { return content(strings.Repeat("_pass=example1Q", n/15)) },
	"names of secrets in UTF-16": func(n int) string {
		return strings.Repeat("_\x00p\x00a\x00s\x00s\x00=\x00", n/12)
	},
	"names of secrets in Base64": func(n int) string {
		return "{" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("_pass=", n/8)))
	},
	"long paths":                       func(n int) string { return arguments(n, "b="+strings.Repeat("a/", 400)) },
	"short arguments of other letters": func(n int) string { return arguments(n, "é") },
	"names that are alike in the end":  func(n int) string { return members(n, "-----BEGIN A PRIVATE KEY-----") },
	"members with flaws":               func(n int) string { return members(n, "é\u200b") },
	"outputs of other letters": func(n int) string {
		return `{"outputs":[` + strings.Repeat(`"é",`, n/5) + `"x"],"payload":{"kind":"noop","params":{}}}`
	},
	"joiners":               func(n int) string { return content(strings.Repeat("\u0915\u094d\u200d", n/9)) },
	"emoji":                 func(n int) string { return content(strings.Repeat("\U0001f468\u200d", n/7)) },
	"combining marks":       func(n int) string { return arguments(n, "e"+strings.Repeat("\u0301\u0323", 100)) },
	"phrases":               func(n int) string { return content(strings.Repeat("ignore all of the previous ", n/27)) },
	"beginnings of phrases": func(n int) string { return content(strings.Repeat("ignore ", n/7)) },
	"a schema with names": func(n int) string {
		return payload("llm", `{"model":"m","prompt":"p","schema":{"properties":{`+properties(n)+`"x":{}}}}`)
	},
	"a hunk": func(n int) string {
		return payload("file_patch", `{"path":"x","diff":`+quoted("@@ -1,9 +1,9 @@\n"+strings.Repeat("-a\n+b\n", n/8))+`}`)
	},
	"a name": func(n int) string { return `{` + quoted(strings.Repeat("_pass=\u200b", n/9)) + `:1}` },
	"depth": func(n int) string {
		return payload("noop", strings.Repeat(`{"_pass=":`, 90)+quoted(strings.Repeat("a/", n/2))+strings.Repeat("}", 90))
	},
}

func content(text string) string {
	return payload("file_write", `{"path":"x","mode":"create","content":`+quoted(text)+`}`)
}

func arguments(n int, argument string) string {
	return payload("exec", `{"argv":["true"`+strings.Repeat(","+quoted(argument), n/(len(argument)+3))+`]}`)
}

func members(n int, name string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(quoted(name+strconv.Itoa(i)) + `:` + quoted(name) + `,`)
	}
	return payload("exec", `{"argv":["true"],"env":{`+b.String()+`"X":"x"}}`)
}

func properties(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `"é%d":{"pattern":"a{99}"},`, i)
	}
	return b.String()
}

// No proposal costs more than 200 ms for each 64 KB, read or not, and four times the length costs about four times as much. The machine's
// own speed is measured beside it: 64 MB of a checksum, byte by byte, took 100 ms where the bound was set.
func TestCostOfProposals(t *testing.T) {
	w := newWorld(t)
	r, err := w.p.Rules(t.Context())
	w.check(err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cost := func(runs int, raw string) time.Duration {
		return least(runs, func() {
			c := newCandidate([]byte(raw), job.Provenance{Zone: "inbox", Source: "inbox", Token: "t"}, "2026-01-01T00:00:00Z", schemas.DefaultLimits)
			if err := c.judge(t.Context(), r, gates.Facts{}); err != nil {
				t.Fatal(err)
			}
		})
	}
	block := make([]byte, 1<<20)
	unit := least(3, func() {
		h := fnv.New64a()
		for range 64 {
			h.Write(block)
		}
	})
	t.Logf("64 MB of a checksum: %s", unit)
	cost(1, content("warm"))
	const small, large = 64 << 10, 256 << 10
	for name, shape := range costly {
		// The least of some runs: now and then one pays for the collection of everybody's garbage.
		one, many := cost(3, shape(small)), cost(3, shape(large))
		t.Logf("%-45s %8s, %8s", name, one.Round(time.Microsecond), many.Round(time.Microsecond))
		if one > 2*unit {
			t.Errorf("%s: 64 KB cost %s, more than twice %s", name, one, unit)
		}
		// A few milliseconds say nothing about growth.
		if many > 2*large/small*max(one, unit/16) {
			t.Errorf("%s: four times the length costs %s instead of %s", name, many, one)
		}
	}
}
