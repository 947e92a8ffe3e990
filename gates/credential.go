package gates

import (
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/gates/secrets"
)

// credential is one that was found in a text, with the message about it.
type credential struct {
	secrets.Value
	message string
}

// credentialSearch is what many strings of one document have in common: those of a list have one member and one command line. Without
// it, a proposal with sixteen arguments took a tenth longer.
type credentialSearch struct {
	all     bool            // also what is only seen when another one is gone, which an operator has to know and a refusal does not
	members map[string]bool // whether a value of this name may be a secret
	lists   map[string]bool // whether a word of the list at this pointer may be one by those before it
	last    map[string]text // of each list
}

// newCredentialSearch begins a search of these texts, which are all of a document.
func newCredentialSearch(texts []text, all bool) credentialSearch {
	return credentialSearch{all: all, members: map[string]bool{}, lists: map[string]bool{}, last: lastOfLists(texts)}
}

// lastOfLists finds the last string of each list that has more than one, by the pointer of the list.
func lastOfLists(all []text) map[string]text {
	last := map[string]text{}
	for _, t := range all {
		if list := listOf(t); len(t.before) > len(last[list].before) {
			last[list] = t
		}
	}
	return last
}

func listOf(t text) string { return t.pointer[:max(0, strings.LastIndexByte(t.pointer, '/'))] }

// member is secrets.IsMember.
func (s credentialSearch) member(t text) bool {
	may, known := s.members[t.member]
	if !known {
		may = secrets.SecretMember(t.member)
		s.members[t.member] = may
	}
	return may && secrets.IsMember(t.member, t.value)
}

// argument is secrets.IsArgument.
func (s credentialSearch) argument(t text) (start int, format string, ok bool) {
	if len(t.before) == 0 {
		return 0, "", false
	}
	list := listOf(t)
	may, known := s.lists[list]
	if !known {
		may = !secrets.NoArgument(s.last[list].before, s.last[list].value)
		s.lists[list] = may
	}
	if !may {
		return 0, "", false
	}
	return secrets.IsArgument(t.before, t.value)
}

// in returns the credentials in a text, by what it is and by what stands around it.
func (s credentialSearch) in(t text) (list []credential) {
	values := secrets.First
	if s.all {
		values = secrets.Values
	}
	for _, c := range values(t.value) {
		list = append(list, credential{c, fmt.Sprintf("the text has a credential (%s)", c.Format)})
	}
	if len(list) > 0 || t.name {
		return list
	}
	if s.member(t) {
		return []credential{{secrets.Value{Format: secrets.FormatAssignment, Text: t.value},
			fmt.Sprintf("the value of %q looks like a credential (%s)", clip(t.member, 80), secrets.FormatAssignment)}}
	}
	if start, format, ok := s.argument(t); ok {
		return []credential{{secrets.Value{Format: format, Text: t.value[start:]}, fmt.Sprintf("the argument looks like a credential (%s)", format)}}
	}
	return nil
}
