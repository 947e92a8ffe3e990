package sandbox

// Facts is what this machine offers to confine jobs with, found out by trying.
type Facts struct {
	Level           Level    `json:"level"`           // the strongest one that Run can give here
	Kernel          string   `json:"kernel"`          // release
	LandlockABI     int      `json:"landlock_abi"`    // 0 is none
	Seccomp         bool     `json:"seccomp"`         // filters
	UserNamespaces  bool     `json:"user_namespaces"` // may be made by this user
	CgroupV2        string   `json:"cgroup_v2"`       // where it is mounted, "" is not
	CgroupWritable  bool     `json:"cgroup_writable"` // by this user, its own group
	Pidfd           bool     `json:"pidfd"`
	UnprivilegedBPF bool     `json:"unprivileged_bpf"` // open to every user, which is a weakness
	Missing         []string `json:"missing"`          // Gaps as lines, for people
	Gaps            []Gap    `json:"gaps"`
	// Fault is why none of this can be relied on: the machine was out of something while it was looked at. nil is that it
	// can.
	Fault error `json:"-"`
}

// Gap is something that the system lacks.
type Gap struct {
	Primitive string `json:"primitive"` // as in StartError
	Level     Level  `json:"level"`     // the weakest one that cannot be had without; "" where only a protection is lost
	Lost      string `json:"lost"`      // what a job can do for lack of it
	Enable    string `json:"enable"`    // the line that brings it
}

// String is one line for people.
func (g Gap) String() string {
	s := g.Primitive + ": " + g.Lost
	if g.Level != "" {
		s = g.Primitive + ": no level " + string(g.Level)
		if g.Lost != "" {
			s += ", " + g.Lost
		}
	}
	if g.Enable != "" {
		s += " (" + g.Enable + ")"
	}
	return s
}
