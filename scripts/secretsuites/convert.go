package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// The pieces of which that project's expressions for a value behind a name are made.
const (
	namePrefix  = `[\w.-]{0,50}?(?:`
	nameSuffix  = `)(?:[ \t\w.-]{0,20})[\s'"]{0,3}`
	operator    = `(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)`
	valuePrefix = `[\x60'"\s=]{0,5}(`
	valueSuffix = `)(?:[\x60'"\s;]|\\[nr]|$)`
)

// left are rules that are not taken, each with the reason.
var left = map[string]string{
	"aws-access-token": "ours", "curl-auth-header": "ours", "curl-auth-user": "ours", "freemius-secret-key": "ours", "generic-api-key": "ours",
	"jwt": "ours", "kubernetes-secret-yaml": "ours", "nuget-config-password": "ours", "private-key": "ours", "twilio-api-key": "ours",
	"vault-service-token": "ours", "sourcegraph-access-token": "ours", "hashicorp-tf-password": "ours", "openai-api-key": "ours", "azure-ad-client-secret": "ours",
	"pkcs12-file": "it is about the name of a file", "microsoft-teams-webhook": "ours", "maxmind-license-key": "ours", "sidekiq-sensitive-url": "ours",
	"hashicorp-tf-api-token": "ours", "airtable-personnal-access-token": "ours", "facebook-access-token": "ours", "slack-webhook-url": "ours",
}

// theirs is a rule as that project's generator has it.
type theirs struct {
	ID       string   `json:"id"`
	Regex    string   `json:"regex"`
	Keywords []string `json:"keywords"`
	Entropy  float64  `json:"entropy"`
}

// rule is one as gates/secrets reads it.
type rule struct {
	ID      string   `json:"id"`
	Names   []string `json:"names,omitempty"`  // lower case; the value stands behind one of them
	Begins  []string `json:"begins,omitempty"` // lower case; the token begins with one of them
	Pattern string   `json:"pattern"`          // of the value, or of the token, from its beginning
	Entropy float64  `json:"entropy,omitempty"`
}

// ruleFile is the file as a whole.
type ruleFile struct {
	Source  string `json:"source"`
	Licence string `json:"licence"`
	Rules   []rule `json:"rules"`
}

// convert writes the rules of that project as data of ours.
func convert(ctx context.Context, to string) error {
	lines, err := generated(ctx)
	if err != nil {
		return err
	}
	file := ruleFile{
		Source:  "https://github.com/gitleaks/gitleaks, " + gitleaksVersion + ", config/gitleaks.toml; made by scripts/secretsuites -write",
		Licence: "MIT, Copyright (c) 2019 Zachary Rice; its text is in gitleaks.LICENSE",
	}
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, "RULE ")
		if !ok {
			continue
		}
		var t theirs
		if err := json.Unmarshal([]byte(text), &t); err != nil {
			return err
		}
		if left[t.ID] != "" {
			continue
		}
		r, err := t.ours()
		if err != nil {
			return fmt.Errorf("%s: %w", t.ID, err)
		}
		file.Rules = append(file.Rules, r...)
	}
	slices.SortStableFunc(file.Rules, func(a, b rule) int { return strings.Compare(a.ID, b.ID) })
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"source\": %q,\n \"licence\": %q,\n \"rules\": [\n", file.Source, file.Licence)
	for i, r := range file.Rules {
		var one bytes.Buffer
		enc := json.NewEncoder(&one)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			return err
		}
		out.Write(bytes.TrimSpace(one.Bytes()))
		if i < len(file.Rules)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]}\n")
	source, err := module(ctx, gitleaksModule, gitleaksVersion)
	if err != nil {
		return err
	}
	licence, err := os.ReadFile(filepath.Join(source, "LICENSE"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(to), "gitleaks.LICENSE"), licence, 0o644); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

// ours turns a rule into one or two of ours: their expressions may be alternatives of both kinds.
func (t theirs) ours() (list []rule, err error) {
	for part := range strings.SplitSeq(t.Regex, valueSuffix+"|") {
		part = strings.TrimSuffix(part, valueSuffix)
		r := rule{ID: t.ID, Entropy: t.Entropy}
		head, value, placed := strings.Cut(part, operator+valuePrefix)
		if placed {
			fold := ""
			if strings.HasPrefix(head, "(?i)[") {
				fold = "(?i)"
			}
			i, j := strings.LastIndex(head, namePrefix), strings.LastIndex(head, nameSuffix)
			if i < 0 || j < i {
				return nil, fmt.Errorf("%q is of no known form", head)
			}
			if r.Names, err = spellings("(?:"+head[i+len(namePrefix):j]+")", true); err != nil {
				return nil, err
			}
			r.Pattern = fold + value
		} else {
			r.Pattern = strings.TrimSuffix(part, `\b`)
			flags := ""
			if rest, ok := strings.CutPrefix(r.Pattern, "(?i)"); ok {
				flags, r.Pattern = "(?i)", rest
			}
			r.Pattern = strings.TrimPrefix(r.Pattern, `\b`)
			if strings.HasPrefix(r.Pattern, "(") && strings.Count(r.Pattern, "(") == strings.Count(r.Pattern, ")")+1 {
				r.Pattern = r.Pattern[1:] // the group around the token, whose end went with the suffix
			}
			r.Pattern = flags + r.Pattern
			if r.Begins, err = spellings(r.Pattern, false); err != nil {
				return nil, err
			}
		}
		if _, err := regexp.Compile("^(?:" + r.Pattern + ")"); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// spellings lists what an expression may begin with, lower case; with whole, all that it may be.
func spellings(expr string, whole bool) ([]string, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	list, complete := enumerate(re)
	if whole && !complete {
		return nil, fmt.Errorf("%q has no end of spellings", expr)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	for _, s := range list {
		if len(s) < 3 {
			return nil, fmt.Errorf("%q may begin with %q, which is too short to look for", expr, s)
		}
	}
	return list, nil
}

// enumerate lists the beginnings of an expression as far as they are few, and says whether they are all of it.
func enumerate(re *syntax.Regexp) (list []string, complete bool) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpBeginText:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}, true
	case syntax.OpCharClass:
		seen := map[string]bool{}
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i+1]-re.Rune[i] > 8 {
				return []string{""}, false
			}
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				if c < 0x80 {
					seen[strings.ToLower(string(c))] = true
				}
			}
		}
		if len(seen) > 4 {
			return []string{""}, false
		}
		for s := range seen {
			list = append(list, s)
		}
		return list, true
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		return []string{"."}, true // written for a dot
	case syntax.OpCapture:
		return enumerate(re.Sub[0])
	case syntax.OpQuest:
		some, all := enumerate(re.Sub[0])
		return append(some, ""), all
	case syntax.OpAlternate:
		complete = true
		for _, sub := range re.Sub {
			some, all := enumerate(sub)
			list, complete = append(list, some...), complete && all
		}
		return list, complete
	case syntax.OpConcat:
		list = []string{""}
		for _, sub := range re.Sub {
			some, all := enumerate(sub)
			if len(list)*len(some) > 200 {
				return list, false
			}
			var longer []string
			for _, a := range list {
				for _, b := range some {
					longer = append(longer, a+b)
				}
			}
			if list = longer; !all {
				return list, false
			}
		}
		return list, true
	}
	return []string{""}, false
}
