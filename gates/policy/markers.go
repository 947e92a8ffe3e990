package policy

// DefaultMarkers lists the phrases that a proposal is asked about: attempts to talk a reader into more authority than
// the gates gave. They are tripwires, not a boundary; whoever knows the list can avoid it.
func DefaultMarkers() []string {
	return []string{
		"ignore previous instructions",
		"ignore all previous instructions",
		"ignore the previous instructions",
		"ignore your instructions",
		"disregard previous instructions",
		"disregard all previous",
		"forget your instructions",
		"override the policy",
		"bypass the gate",
		"bypass the gates",
		"bypass the policy",
		"bypass the sandbox",
		"disable the gate",
		"disable the gates",
		"disable the policy",
		"disable the sandbox",
		"disable security",
		"without approval",
		"skip the approval",
		"approve this automatically",
		"auto-approve",
		"already approved by the operator",
		"you are now in developer mode",
		"system prompt",
		"sudo",
		"as root",
		"with root privileges",
		"with admin rights",
		"escalate privileges",
		"--no-preserve-root",
	}
}
