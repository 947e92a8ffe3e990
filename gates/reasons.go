package gates

import "github.com/sheratan/sheratan/pipeline/job"

// ReasonInfo says what a reason code means and who may overrule it.
type ReasonInfo struct {
	Code     string
	Gate     string // G0 … G4; "*" is any
	Meaning  string // one line
	Level    job.Level
	Waivable bool   // by the second opinion; only where the level is soft
	Fixed    bool   // the config cannot set another level
	WayOut   string // what the proposer or the operator can do
}

// The codes that other packages ask for.
const (
	CodeCredential  = "CREDENTIAL"
	CodeFromOutput  = "FROM_OUTPUT"
	CodeGateError   = "GATE_ERROR"
	CodeManualKind  = "MANUAL_KIND"
	CodeNotExamined = "NOT_EXAMINED"
	// CodePipelineError is not given by a gate: it blocks what could not be brought through them, or not be run.
	CodePipelineError = "PIPELINE_ERROR"
	CodeNoRule        = "NO_EXEC_RULE"
	CodeUnknownKind   = "UNKNOWN_KIND"
)

const (
	advisory = job.Advisory
	soft     = job.Soft
	hard     = job.Hard
)

// Reasons is the table of all reason codes, by gate. docs/GATES.md has the same table, and a test compares the two.
var Reasons = []ReasonInfo{
	{"UNKNOWN_SOURCE", "G0", "the source has no entry, and there is none for *", hard, false, true,
		"add the source to sources in config/sheratan.json"},
	{"NOT_REGULAR", "G0", "what lies in the inbox is no regular file: a symbolic link, FIFO, socket, device or folder", hard, false, true,
		"put the proposal there as a file of its own"},
	{"SIGNATURE_MISSING", "G0", "the source demands a signature, and there is none", hard, false, true,
		"sign with ssh-keygen -Y sign -n sheratan"},
	{"SIGNATURE_INVALID", "G0", "the signature does not fit these bytes, or cannot be read", hard, false, true,
		"sign these bytes again, in the namespace sheratan"},
	{"SIGNER_UNKNOWN", "G0", "the key that signed is none of the source's signers", hard, false, true,
		"add the public key to the signers of the source"},
	{"ID_REUSED", "G0", "another proposal has this id, with another payload or from another source", hard, false, true,
		"leave the id out, or take another"},
	{"ID_RESERVED", "G0", "the id is that of a task of a mission, and this is not what the mission was submitted with", hard, false, true,
		"leave the id out, or take another"},
	{"KEY_REUSED", "G0", "another job of this source holds this idempotency key, with another payload", hard, false, true,
		"take another key, or repeat the payload exactly"},
	{CodeFromOutput, "G0", "it came out of a job of the mesh", soft, true, true,
		"wait for the second opinion, or sheratan approve"},
	{"DEPTH_EXCEEDED", "G0", "too many generations of follow-ups", hard, false, false,
		"raise limits.depth, or submit it as an operator"},
	{"CHILDREN_EXCEEDED", "G0", "the parent has too many follow-ups already", hard, false, false,
		"raise limits.children"},
	{"MISSION_BUDGET", "G0", "the mission has as many jobs as it may have", hard, false, false,
		"raise the budget of the mission"},

	{"NOT_UTF8", "G1", "the text is not UTF-8", hard, false, true, "save it as UTF-8"},
	{"SYNTAX", "G1", "the text is not JSON", hard, false, true, "mend it at the place that the message names"},
	{"DUPLICATE_KEY", "G1", "an object has a name twice, and readers differ on which counts", hard, false, true, "keep one of them"},
	{"TRAILING_DATA", "G1", "something follows the JSON value", hard, false, true, "one proposal per .json file; many go into a .jsonl file"},
	{"TOO_DEEP", "G1", "the value is nested too deeply", hard, false, true, "nest it less deeply"},
	{"TOO_LARGE", "G1", "the text is too large to be read", hard, false, true, "put the data into a file, and name the file"},
	{"NUMBER_CHANGED", "G1", "a number would change its value in the canonical form", hard, false, true, "write it as a string, or with fewer digits"},
	{"EMPTY", "G1", "there is nothing in the file", hard, false, true, "write a proposal"},
	{"FIELD_NOT_SETTABLE", "G1", "a proposal cannot set this field", hard, false, true, "remove it; sheratan schema proposal lists those that can be set"},
	{"SCHEMA_VIOLATION", "G1", "the proposal or its params do not fit the schema", hard, false, true, "sheratan schema proposal, sheratan schema kind.NAME"},
	{"BIDI_CONTROL", "G1", "an identifier, path or argument has a character that reorders what a reader sees", hard, false, false,
		"take the suggestion: the text without it"},
	{"TAG_CHARACTER", "G1", "text has tag characters, which are invisible and read by models", hard, false, false,
		"take the suggestion: the text without them"},
	{"INVISIBLE_CHARACTER", "G1", "an identifier, path or argument has a character that cannot be seen", hard, false, false,
		"take the suggestion: the text without it"},
	{"CONTROL_CHARACTER", "G1", "an identifier, path or argument has a control character", hard, false, false,
		"take the suggestion: the text without it"},
	{"CONFUSABLE_SPACE", "G1", "an identifier, path or argument has white space that is no plain space", soft, true, false,
		"take the suggestion: plain spaces"},
	{"UNASSIGNED_CHARACTER", "G1", "an identifier, path or argument has a character without a meaning: unassigned or private", soft, true, false,
		"take the suggestion: the text without it"},
	{"NOT_NORMALISED", "G1", "an identifier, path or argument is not in Unicode normal form C, so that it has a twin that looks the same", soft, true, false,
		"take the suggestion: normal form C"},
	{"BIDI_IN_TEXT", "G1", "content has characters that reorder what a reader sees", soft, true, false,
		"take the suggestion, or let an operator look at the content"},
	{"CONTROL_IN_TEXT", "G1", "content has control characters, which terminals obey", soft, true, false,
		"take the suggestion, or let an operator look at the content"},
	{"INVISIBLE_IN_TEXT", "G1", "content has characters that cannot be seen", advisory, false, false, "none is needed"},

	{"TIMEOUT_EXCEEDED", "G2", "timeout_seconds is over the limit", hard, false, false, "take the suggestion, or raise limits.timeout_seconds"},
	{"RETRIES_EXCEEDED", "G2", "max_retries is over the limit", hard, false, false, "take the suggestion, or raise limits.max_retries"},
	{"PAYLOAD_EXCEEDED", "G2", "the payload is over the limit", hard, false, false, "put the data into a file, or raise limits.payload_bytes"},
	{"OUTPUT_EXCEEDED", "G2", "more output is asked for than is kept", hard, false, false, "take the suggestion, or raise limits.output_bytes"},
	{"DEPENDENCIES_EXCEEDED", "G2", "it depends on too many jobs", hard, false, false, "chain them, or raise limits.depends_on"},
	{"DEPENDENCY_CYCLE", "G2", "it would wait for itself", hard, false, false, "remove one of the dependencies that the evidence names"},
	{"PRIORITY_EXCEEDED", "G2", "the priority is above that of the source", soft, false, false, "take the suggestion, or raise max_priority of the source"},

	{CodeUnknownKind, "G3", "there is no such kind", hard, false, true, "sheratan kinds lists those that exist"},
	{"FORBIDDEN_KIND", "G3", "the kind is forbidden, or in none of the lists", hard, false, true, "put the kind into gates.kinds.allow or gates.kinds.manual"},
	{CodeManualKind, "G3", "jobs of this kind need an operator's word", soft, false, true, "sheratan approve"},
	{"NO_HOST", "G3", "no known host offers what it requires", soft, false, false, "remove the requirement, or enrol a host that has it"},
	{"NOT_A_PATH", "G3", "the text cannot be the path of a file here", hard, false, true, "a path relative to the root, with /"},
	{"TRAVERSAL", "G3", "the path contains .., or what some systems take for it", hard, false, true, "write the path without .."},
	{"OUTSIDE_ROOTS", "G3", "the path lies in no root, also after its symbolic links are followed", hard, false, true, "a path inside a root; gates.roots lists them"},
	{"FORBIDDEN_PATH", "G3", "the path leads into config, runtime, missions or a .git, or would be rules", hard, false, true, "another path: no rule allows this one"},
	{"SYMLINK", "G3", "the path is a symbolic link where a file would be written", hard, false, true, "the path that the link leads to"},
	{"SYMLINK_LOOP", "G3", "too many symbolic links on the way", hard, false, true, "the path without the links"},
	{"HARD_LINK", "G3", "the file has other names, perhaps outside the roots", hard, false, true, "copy the file, and name the copy"},
	{"SPECIAL_FILE", "G3", "the path is a FIFO, socket or device", hard, false, true, "a regular file"},
	{"PATH_REFUSED", "G3", "the path could not be checked", hard, false, true, "see the message"},
	{"DOES_NOT_APPLY", "G3", "the file as it is does not take the edit or the diff", hard, false, false, "read the file again, and propose a change that fits"},
	{"NOT_TRIED", "G3", "whether the file takes the change is not known: the file is too large, or jobs come before that may change it", advisory, false, false, "none is needed"},
	{CodeNoRule, "G3", "no exec rule matches the command line", hard, false, false, "sheratan policy suggest ID prints the rule that would allow it"},
	{"PROGRAM_MISSING", "G3", "there is a rule for the program, but no such program on this machine", hard, false, false, "install the program, or take another"},
	{"EXEC_FORBIDDEN", "G3", "an exec rule forbids the command line", hard, false, false, "another command; or change the rule that the evidence names"},
	{"EXEC_ASK", "G3", "an exec rule wants an operator to decide", soft, false, false, "sheratan approve"},
	{"ENV_NOT_ALLOWED", "G3", "the environment variable may not be set by a proposal", hard, false, false, "remove it, or add its name to gates.env"},
	{"MODEL_NOT_ALLOWED", "G3", "jobs may not ask this language model", hard, false, false, "name a model that they may, or add it to gates.models"},
	{"UNKNOWN_PROMPT", "G3", "the operator has written no question of this name", hard, false, true,
		"name one that there is, or write config/prompts/NAME.txt"},
	{"CROSS_SOURCE", "G3", "it depends on a job of another source", hard, false, false, "add the pair to gates.cross_source_dependencies"},

	{"POLICY_RULE", "G4", "a rule of a policy is true of it; the rule sets the level", hard, false, true, "see the message; gates.levels sets a level by POLICY/RULE"},
	{"POLICY_ERROR", "G4", "a rule of a policy could not be evaluated", hard, false, true, "mend the rule: sheratan policy test"},
	{"MARKER", "G4", "the text has a phrase that asks for more authority than the gates gave", soft, true, false, "remove the phrase, or let somebody read it; gates.markers has the list"},
	{CodeCredential, "G4", "the text has a credential", hard, false, true, "remove it, and revoke it if it is real; a job reads secrets from files or its environment"},

	{CodeNotExamined, "*", "there is no document to look at", hard, false, true, "see the reason of the gate before"},
	{CodeGateError, "*", "the gate itself failed; this is a fault of the program", hard, false, true, "report it, with the proposal"},
	{CodePipelineError, "*", "the job could not be processed, or one of its documents cannot be read", hard, false, true,
		"mend what the message names, then sheratan gate --blocked ID"},
}
