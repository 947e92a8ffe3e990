package pipeline

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// Waivable is a finding of a blocked job as an operator gets to see it.
type Waivable struct {
	Name    string // by which a waiver names it
	Format  string
	Masked  string // the first characters of what was found, if any, and how many it has
	Problem string // why it cannot be waived; "" where it can
}

// waiving is what a review is to overrule.
type waiving struct {
	salt  []byte
	list  []ledger.Waived // without the reason
	shown []Waivable
	found []string // the bytes of each
}

// Waived returns the very bytes that the waivers of a review are for, in the order of Waives. They are for the terminal of the operator who
// is asked, and for nothing that is stored or sent on.
func (r *Review) Waived() []string {
	if r.waiving == nil {
		return nil
	}
	return r.waiving.found
}

// Unread says why nobody but a person who has read what is waived may approve a review; nil where a script may. A pattern finds where a
// credential begins and ends, and not that what lies between is one: whole lines of a script fit between the two lines around a key.
func (r *Review) Unread() error {
	for i, value := range r.Waived() {
		if strings.ContainsFunc(value, needsReader) {
			return &WaiverError{r.Job.ID, r.Waives[i].Name + ": it has white space or characters that a shell obeys, so that a person has to read it", nil}
		}
	}
	return nil
}

// needsReader reports whether a character may divide a text into words or lines, be obeyed by a shell, or look like another one.
func needsReader(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune("`$;|&<>()'\"\\", c)
}

// WaiverError says why a finding cannot be waived, and which can.
type WaiverError struct {
	ID, Message string
	Choices     []string
}

func (e *WaiverError) Error() string { return e.ID + ": " + e.Message }

// findings lists what of a blocked job could be waived. Where the original is not there, gone says so.
func (p *Pipeline) findings(k known, row indexRow) (list []Waivable, gone error, err error) {
	stored, err := p.stored(row)
	if err != nil || !stored.intake.Redacted {
		return nil, nil, err
	}
	o, err := p.readOriginal(stored.intake)
	if missing := (*originalError)(nil); errors.As(err, &missing) {
		return nil, err, nil
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := p.gateable(k, row)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range gates.Findings(o.value) {
		if !c.waivers.Hold(f.Code, f.Pointer, f.Value) {
			list = append(list, shown(f))
		}
	}
	return list, nil, nil
}

func shown(f gates.Finding) Waivable { return Waivable{f.Name, f.Format, masked(f.Value), f.Problem} }

// masked shows so little of a value that it is known again and cannot be guessed: a tenth, four characters at most.
func masked(value string) string {
	n := utf8.RuneCountInString(value)
	shown := []rune(value)[:min(4, n/10)]
	if len(shown) == 0 {
		return fmt.Sprintf("%d characters", n)
	}
	return fmt.Sprintf("%s…, %d characters", string(shown), n)
}

// Waive adds waivers to the review of a blocked job: each name is CODE:POINTER, or CODE where there is one finding of it. From then on the
// review says what the gates say with these overruled. Nothing is recorded before Approve takes the review.
func (p *Pipeline) Waive(ctx context.Context, review *Review, names []string) error {
	id := review.Job.ID
	r, err := p.Rules(ctx)
	if err != nil {
		return err
	}
	return p.view(ctx, func(x *index.Reader) error {
		row, ok, err := x.Job(id)
		if err == nil && !ok {
			err = &UnknownJobError{id}
		}
		if err != nil {
			return err
		}
		w, err := p.newWaiving(x, row, names)
		if err != nil {
			return err
		}
		c, err := p.gateableWith(x, row, w)
		if err != nil {
			return err
		}
		if review.Report, _, err = p.regateAs(ctx, x, r, row, c); err != nil {
			return err
		}
		review.Waives, review.waiving = w.shown, w
		review.Overridable = review.Report.Approved() || review.Report.Overridable()
		return nil
	})
}

// newWaiving finds what the names name in the original of a job.
func (p *Pipeline) newWaiving(k known, row indexRow, names []string) (*waiving, error) {
	stored, err := p.stored(row)
	if err != nil {
		return nil, err
	}
	if !stored.intake.Redacted {
		return nil, &WaiverError{row.ID, "it has no finding that can be waived", nil}
	}
	o, err := p.readOriginal(stored.intake)
	if err != nil {
		return nil, err
	}
	w := &waiving{}
	if w.salt, err = p.salt(row.ID); err != nil {
		return nil, err
	}
	if w.salt == nil {
		w.salt = make([]byte, 32)
		if _, err := io.ReadFull(p.opts.Rand, w.salt); err != nil {
			return nil, fmt.Errorf("random source: %w", err)
		}
	}
	digests := &gates.Waivers{Salt: w.salt}
	all := gates.Findings(o.value)
	for _, name := range names {
		f, err := choose(row.ID, name, all)
		if err != nil {
			return nil, err
		}
		m := ledger.Waived{Document: row.Intake.SHA256, Original: digests.DigestOriginal(o.doc), Code: f.Code, Pointer: shorten(f.Shown),
			Format: f.Format, Finding: digests.Digest(f.Code, f.Pointer, f.Value)}
		if !slices.Contains(w.list, m) {
			w.list, w.shown, w.found = append(w.list, m), append(w.shown, shown(f)), append(w.found, f.Value)
		}
	}
	if at, there := inClear(secrets.NewWaived(w.found), "", stored.value); there {
		return nil, &WaiverError{row.ID, "what is to be waived also stands at " + at + ", where it is no finding, and everybody reads that", nil}
	}
	return w, nil
}

// inClear finds a waived value in what is left of a proposal after the credentials were taken out: documents, results and lists of jobs
// have that as it is. It returns the pointer, without the value.
func inClear(waived *secrets.Known, at string, v any) (pointer string, there bool) {
	has := func(s string) bool {
		_, n := waived.Mask(s)
		return n > 0
	}
	switch v := v.(type) {
	case string:
		return at, has(v)
	case json.Number:
		return at, has(v.String())
	case []any:
		for i, x := range v {
			if pointer, there = inClear(waived, fmt.Sprintf("%s/%d", at, i), x); there {
				return pointer, true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if has(name) {
				return "the name of a member of " + cmp.Or(at, "the proposal"), true
			}
			if pointer, there = inClear(waived, at+"/"+schemas.EscapeToken(name), v[name]); there {
				return pointer, true
			}
		}
	}
	return "", false
}

// choose finds the finding that a name means.
func choose(id, name string, all []gates.Finding) (f gates.Finding, err error) {
	code, _, _ := strings.Cut(name, ":")
	if !slices.ContainsFunc(gates.Waivable, func(w gates.WaiverInfo) bool { return w.Code == code }) {
		return f, &WaiverError{id, fmt.Sprintf("findings of the code %q are not waived", code), nil}
	}
	var choices []string
	var fits []gates.Finding
	for _, f := range all {
		if f.Problem == "" {
			choices = append(choices, f.Name)
		}
		if name == f.Name || name == f.Code || name == f.Code+":"+f.Shown {
			fits = append(fits, f)
		}
	}
	if exact := slices.IndexFunc(fits, func(f gates.Finding) bool { return f.Name == name }); exact >= 0 {
		fits = fits[exact : exact+1]
	}
	switch {
	case len(fits) == 0:
		return f, &WaiverError{id, name + ": there is no such finding", choices}
	case len(fits) > 1:
		return f, &WaiverError{id, fmt.Sprintf("%s: there are %d such findings, and a waiver is for one", name, len(fits)), choices}
	case fits[0].Problem != "":
		return f, &WaiverError{id, fits[0].Name + ": " + fits[0].Problem, choices}
	}
	return fits[0], nil
}

// gateableWith is gateable with the waivers of a review beside those that the job has. Without the original it is an error.
func (p *Pipeline) gateableWith(k known, row indexRow, w *waiving) (*candidate, error) {
	if w == nil {
		return p.gateable(k, row)
	}
	stored, err := p.stored(row)
	if err != nil {
		return nil, err
	}
	list, err := waiversOf(k, row)
	if err != nil {
		return nil, err
	}
	o, held, err := p.unseal(stored.intake, append(list, w.list...), w.salt)
	if err != nil {
		return nil, err
	}
	return o.candidate(row, held), nil
}

// keepSalt stores the salt of waivers before the event that has their digests. It is called with the lock of the ledger: of two operators who
// approve at once, the one who comes second would replace the salt that the event of the first goes by.
func (p *Pipeline) keepSalt(id string, w *waiving) error {
	there, err := p.salt(id)
	if err != nil {
		return err
	}
	if there == nil {
		err = durable.WriteFile(p.ws.PrivateSalt(id), []byte(hex.EncodeToString(w.salt)+"\n"), 0o600)
		if err != nil {
			return fmt.Errorf("%s: salt: %w", id, err)
		}
		return nil
	}
	if !slices.Equal(there, w.salt) {
		return &StateError{ID: id, Status: "not what was reviewed", Want: "another operator has waived a finding of this job meanwhile",
			Way: "sheratan why " + id}
	}
	return nil
}

// waived records the waivers of a review, and returns the decision with a reason that does not repeat what it is about.
func (b *batch) waived(row indexRow, c *candidate, w *waiving, d Decision) Decision {
	var values []string
	for _, f := range gates.Findings(c.value) {
		values = append(values, f.Value)
	}
	d.Reason, _ = secrets.NewWaived(values).Mask(d.Reason)
	for _, m := range w.list {
		m.Reason, m.TTY = d.text(), d.TTY
		b.jobEvent(b.p.opts.Actor, job.FindingWaived, row.ID, row.TraceID, row.Zone, m, nil)
	}
	return d
}

// waivable counts the findings that have to be waived before an operator can allow a job, where nothing else keeps it from that and its
// original is there.
func (p *Pipeline) waivable(row indexRow, rep job.Report) (n int) {
	if in, _, err := p.loadIntake(row); err != nil || !in.Redacted || !exists(p.ws.PrivateDocument(row.ID)) {
		return 0
	}
	for _, g := range rep.Gates {
		for _, reason := range g.Reasons {
			if reason.Level != job.Hard {
				continue
			}
			if reason.Code != gates.CodeCredential || reason.Pointer != "" && !strings.HasPrefix(reason.Pointer, gates.Waivable[0].Where) {
				return 0
			}
			n++
		}
	}
	return n
}
