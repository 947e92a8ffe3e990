package sandbox

// Facts is what this machine offers to confine jobs with, as far as asking shows it.
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
	Missing         []string `json:"missing"`          // what the levels above would need and is not there, for people
}
