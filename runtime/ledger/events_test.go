package ledger

import (
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// allEvents lists every event there is.
func allEvents() []job.EventName {
	var all []job.EventName
	for _, t := range job.Transitions {
		all = append(all, t.Event)
	}
	return append(all, job.WorkspaceEvents...)
}

// tables returns the rows of the tables in docs/LEDGER.md below a heading, each as its cells.
func tables(t *testing.T, heading string) [][]string {
	t.Helper()
	b, err := os.ReadFile("../../docs/LEDGER.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(b), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/LEDGER.md has no %q", heading)
	}
	var rows [][]string
	for _, line := range strings.Split(after, "\n") {
		if strings.HasPrefix(line, "#") {
			break
		}
		if cells, ok := strings.CutPrefix(line, "| `"); ok {
			row := strings.Split("`"+strings.TrimSuffix(cells, "|"), "|")
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			row[0] = strings.Trim(row[0], "`")
			rows = append(rows, row)
		}
	}
	return rows
}

// metas says which struct an event has as its meta.
var metas = map[job.EventName]any{
	job.ProposalReceived: Received{}, job.GatesReported: Gated{}, job.JobApproved: Approved{}, job.JobBlocked: Blocked{},
	job.AuditRequested: AuditAsked{}, job.AuditReported: Audited{}, job.AuditFailed: AuditMissed{}, job.JobPatched: Patched{},
	job.FindingWaived: Waived{}, job.OperatorApproved: Decided{}, job.OperatorRejected: Decided{}, job.JobRevised: Revised{},
	job.JobDeduplicated: Deduplicated{}, job.KeyExpired: KeyLapsed{}, job.JobReady: Ready{}, job.JobThrottled: Throttled{},
	job.JobDispatched: Dispatched{}, job.JobLeased: Dispatched{}, job.JobStarted: Started{}, job.JobAttemptFailed: Ended{},
	job.JobRetryScheduled: RetryScheduled{}, job.JobCompleted: Ended{}, job.JobFailed: Ended{}, job.JobCancelled: Cancelled{},
	job.OutcomeUnknown: Unknown{}, job.LeaseExpired: Unknown{}, job.HostEnrolled: HostMeta{}, job.HostOnline: HostMeta{},
	job.HostOffline: HostMeta{}, job.HostDrained: HostMeta{}, job.HostRevoked: HostMeta{}, job.HostRefused: HostMeta{},
	job.ConfigLoaded: Configured{}, job.Paused: PausedMeta{}, job.Resumed: PausedMeta{}, job.IntakeDeferred: Deferred{},
	job.TornTailMoved: Torn{}, job.DocumentRemoved: Removed{}, job.Tick: TickMeta{},
	job.MissionSubmitted: MissionSubmitted{}, job.MissionCancelled: MissionTurned{}, job.MissionRetried: MissionTurned{},
	job.MissionEnded: MissionEnded{},
}

// TestEventsAreDocumented compares the list of events with the tables, in both directions, and what the tables say of
// their meta with the structs.
func TestEventsAreDocumented(t *testing.T) {
	var documented []string
	for _, heading := range []string{"### About jobs", "### About everything else"} {
		for _, row := range tables(t, heading) {
			documented = append(documented, row[0])
			if len(row) != 5 || row[1] == "" || row[2] == "" {
				t.Errorf("%s: the row has %q", row[0], row)
				continue
			}
			checkMeta(t, row[0], row[3])
		}
	}
	var events []string
	for _, e := range allEvents() {
		events = append(events, string(e))
	}
	slices.Sort(events)
	slices.Sort(documented)
	if !slices.Equal(events, documented) {
		t.Errorf("events     %v\ndocumented %v", events, documented)
	}
}

var quoted = regexp.MustCompile("`([a-z0-9_]+)`")

func checkMeta(t *testing.T, event, cell string) {
	t.Helper()
	meta, ok := metas[job.EventName(event)]
	if !ok {
		t.Errorf("%s: the test does not know its meta", event)
		return
	}
	fields := map[string]bool{} // to whether it is always there
	var collect func(reflect.Type)
	collect = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous {
				collect(f.Type)
			} else {
				fields[name] = opts == ""
			}
		}
	}
	collect(reflect.TypeOf(meta))
	named := map[string]bool{}
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		named[m[1]] = true
		if _, ok := fields[m[1]]; !ok {
			t.Errorf("%s: documented with %s, which %T does not have", event, m[1], meta)
		}
	}
	for name, always := range fields {
		if always && !named[name] {
			t.Errorf("%s: %s of %T is not documented", event, name, meta)
		}
	}
}

// TestTransitionsAreDocumented compares the state table with the one in the document, row by row.
func TestTransitionsAreDocumented(t *testing.T) {
	rows := tables(t, "### What they do to a job")
	if len(rows) != len(job.Transitions) {
		t.Fatalf("%d rows are documented, the table has %d", len(rows), len(job.Transitions))
	}
	for i, tr := range job.Transitions {
		var from []string
		for _, s := range tr.From {
			if s == "" {
				s = "(new)"
			}
			from = append(from, string(s))
		}
		to := string(tr.To)
		if to == "" {
			to = "(stays)"
		}
		if want := []string{string(tr.Event), strings.Join(from, ", "), to}; !slices.Equal(rows[i], want) {
			t.Errorf("row %d is %q, the table has %q", i, rows[i], want)
		}
	}
}

// TestCodesAreDocumented compares the codes in tamper.go with the table.
func TestCodesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("tamper.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes, documented []string
	for _, m := range regexp.MustCompile(`Code\w+ += "([A-Z_]+)"`).FindAllStringSubmatch(string(b), -1) {
		codes = append(codes, m[1])
	}
	for _, row := range tables(t, "## What verify checks") {
		documented = append(documented, row[0])
	}
	slices.Sort(codes)
	slices.Sort(documented)
	if len(codes) == 0 || !slices.Equal(codes, documented) {
		t.Errorf("codes      %v\ndocumented %v", codes, documented)
	}
}

// TestChainByHand runs the command that the document gives for checking the chain between two segments.
func TestChainByHand(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the command is for GNU head")
	}
	b, err := os.ReadFile("../../docs/LEDGER.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^    (tail -n 1 SEGMENT-BEFORE .*)$`).FindSubmatch(b)
	if command == nil {
		t.Fatal("the document has no such command")
	}
	outbox := newOutbox(t)
	write(t, open(t, outbox, nil), Position{}, 400, 1)
	out, err := exec.Command("sh", "-c", strings.Replace(string(command[1]), "SEGMENT-BEFORE", segmentFile(outbox, 0), 1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseLine([]byte(line(segmentFiles(t, outbox)["000/000/000000400.jsonl"], 0)))
	if err != nil || !strings.HasPrefix(string(out), e.Prev) {
		t.Errorf("the command gives %s, the next segment has %s, %v", out, e.Prev, err)
	}
}
