package gates

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates/secrets"
)

// WaiverInfo says which findings of a hard reason an operator may overrule, one by one.
type WaiverInfo struct {
	Code  string
	Where string // the pointers, below this one
	Why   string // one line
}

// Waivable is the table of the codes that a waiver can be for. Only what a pattern takes for something that it may not be belongs here: other hard
// reasons state facts. docs/GATES.md has the same table, and a test compares the two.
var Waivable = []WaiverInfo{
	{CodeCredential, "/payload/params/", "a pattern takes a text for a credential that may be none, or one that the job is to have"},
}

// Finding is a place in a proposal that a gate refuses for a code in Waivable.
type Finding struct {
	Code    string
	Pointer string
	Shown   string // the pointer as reports have it, without the credentials in names
	Name    string // CODE:Shown, and #N behind it where several findings share that
	Format  string
	Value   string // the bytes that were found
	Problem string // why it cannot be waived; "" where it can
}

// Waivers are findings of one job that an operator has overruled. They are known by salted digests, so that whoever reads those learns
// nothing of what was found, and other bytes or another place have other digests. nil holds none.
type Waivers struct {
	Salt     []byte
	Findings []string
}

// Digest is the salted digest of what was found for a code at a pointer.
func (w *Waivers) Digest(code, pointer, value string) string {
	return w.digest("finding", code, pointer, value)
}

// DigestOriginal is the salted digest of the document that it was found in.
func (w *Waivers) DigestOriginal(doc []byte) string { return w.digest("original", string(doc)) }

func (w *Waivers) digest(parts ...string) string {
	h := hmac.New(sha256.New, w.Salt)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Hold reports whether these very bytes at this very place were waived.
func (w *Waivers) Hold(code, pointer, value string) bool {
	return w != nil && len(w.Findings) > 0 && slices.Contains(w.Findings, w.Digest(code, pointer, value))
}

// Findings lists what G4 refuses of a proposal for a code in Waivable, in the order of its report. The same bytes twice at one pointer are
// one finding.
func Findings(proposal any) []Finding {
	var list []Finding
	seen, at := map[Finding]bool{}, map[string]int{}
	all := textsOf(proposal, nil, false)
	search := newCredentialSearch(all, true)
	for _, t := range all {
		for _, c := range search.in(t) {
			f := Finding{Code: CodeCredential, Pointer: t.pointer, Shown: redactPointer(t.pointer), Format: c.Format, Value: c.Text, Problem: unwaivable(t, c.Text)}
			if seen[f] {
				continue
			}
			seen[f] = true
			list = append(list, f)
			at[f.Shown]++
		}
	}
	number := map[string]int{}
	for i := range list {
		f := &list[i]
		f.Name = f.Code + ":" + f.Shown
		if at[f.Shown] > 1 {
			number[f.Shown]++
			f.Name += fmt.Sprintf("#%d", number[f.Shown])
		}
	}
	return list
}

// unwaivable says why a finding cannot be waived. What stands outside of the params, and the names of members, become names of
// files, lines of the ledger and pointers, where nobody takes them out.
func unwaivable(t text, value string) string {
	switch {
	case t.name:
		return "the name of a member cannot be waived"
	case !strings.HasPrefix(t.pointer, Waivable[0].Where):
		return "only what lies in " + Waivable[0].Where + " can be waived"
	case len(value) < secrets.LeastWaived:
		return "it is too short to be kept out of what the job writes"
	}
	return ""
}
