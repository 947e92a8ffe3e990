package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
)

// eventNames lists the names of all events.
func eventNames() []string {
	seen := map[string]bool{}
	for _, t := range job.Transitions {
		seen[string(t.Event)] = true
	}
	for _, e := range job.WorkspaceEvents {
		seen[string(e)] = true
	}
	return sortedKeys(seen)
}

func knownEvent(name string) bool { return slices.Contains(eventNames(), name) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// parseRange takes "12", "12-20", "12-" or "-20", both ends included, and returns the first number and the one behind the
// last; 0 as the latter is no end.
func parseRange(s string) (from, to int64, err error) {
	bad := fmt.Errorf("%q: want 12, 12-20, 12- or -20", s)
	first, last, isRange := strings.Cut(s, "-")
	if first == "" && last == "" {
		return 0, 0, bad
	}
	if first != "" {
		if from, err = strconv.ParseInt(first, 10, 64); err != nil || from < 0 {
			return 0, 0, bad
		}
	}
	switch {
	case !isRange:
		to = from + 1
	case last != "":
		if to, err = strconv.ParseInt(last, 10, 64); err != nil || to < from {
			return 0, 0, bad
		}
		to++
	}
	return from, to, nil
}
