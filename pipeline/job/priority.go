package job

import (
	"encoding/json"
	"fmt"
	"time"
)

// Priority is the class of a job; the smaller, the more urgent.
type Priority int

// The four priorities.
const (
	PriorityCritical Priority = iota
	PriorityHigh
	PriorityNormal
	PriorityLow
)

var priorityNames = [...]string{"critical", "high", "normal", "low"}

// String returns the name of p.
func (p Priority) String() string {
	if p < 0 || int(p) >= len(priorityNames) {
		return fmt.Sprintf("priority(%d)", int(p))
	}
	return priorityNames[p]
}

// ParsePriority accepts a name or a number from 0 to 3.
func ParsePriority(s string) (Priority, error) {
	for i, n := range priorityNames {
		if s == n || s == fmt.Sprint(i) {
			return Priority(i), nil
		}
	}
	return 0, fmt.Errorf("priority %q is none of critical, high, normal, low, 0 to 3", s)
}

// UnmarshalJSON accepts a name or a number from 0 to 3.
func (p *Priority) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	v, err := ParsePriority(s)
	if err != nil {
		return err
	}
	*p = v
	return nil
}

// Target is how long a job of this priority should wait at most before it starts. Within the claim order it is added
// to the time of acceptance, and so it is also how jobs age: an old low one overtakes a new normal one.
func (p Priority) Target() time.Duration {
	switch p {
	case PriorityCritical:
		return 0
	case PriorityHigh:
		return time.Minute
	case PriorityNormal:
		return 5 * time.Minute
	default:
		return time.Hour
	}
}

// Class is the first part of the claim order: 0 for critical jobs, which go before everything, 1 for all others, which
// are ordered by acceptance plus Target.
func (p Priority) Class() int {
	if p == PriorityCritical {
		return 0
	}
	return 1
}
