package ledger

import "fmt"

// The codes of a TamperError and of the findings of Verify. docs/LEDGER.md explains each.
const (
	CodeShorter         = "LEDGER_SHORTER"
	CodeLonger          = "LEDGER_LONGER"
	CodeLastLineDiffers = "LAST_LINE_DIFFERS"
	CodeSegmentMissing  = "SEGMENT_MISSING"
	CodeSegmentReplaced = "SEGMENT_REPLACED"
	CodeUnknownFile     = "UNKNOWN_FILE"
	CodeChainBroken     = "CHAIN_BROKEN"
	CodeSeqGap          = "SEQ_GAP"
	CodeBadLine         = "BAD_LINE"
	CodeUnknownEvent    = "UNKNOWN_EVENT"
	CodeRootDiffers     = "ROOT_DIFFERS"
	CodeMissingDocument = "MISSING_DOCUMENT"
	CodeDocumentDigest  = "DOCUMENT_DIGEST"
	CodeUnreadable      = "UNREADABLE"
)

// TamperError says that the ledger is not what was written: it is never repaired, and nothing is appended to it.
type TamperError struct {
	Code    string
	Segment string // relative to runtime/, "" where it concerns the ledger as a whole
	Seq     int64  // of the line, or of the first one concerned
	Message string // one line, for people
}

func (e *TamperError) Error() string {
	where := "ledger"
	if e.Segment != "" {
		where = e.Segment
	}
	return fmt.Sprintf("%s, line %d: %s (%s)", where, e.Seq, e.Message, e.Code)
}
