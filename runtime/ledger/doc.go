// Package ledger writes and reads the Reality Ledger: what happened, one event a line, in files that only grow.
//
// A line is an Event in RFC 8785 form (JSON without spaces, members sorted) of at most 65,535 bytes, and a newline.
// "seq" counts from 0 without gaps. "prev" is the RFC 6962 leaf hash of the line before, SHA-256(0x00 || line without its
// newline), and the root of the empty tree in the first line: so each line vouches for all before it. The lines are the
// leaves of a Merkle tree (RFC 6962, golang.org/x/mod/sumdb/tlog), whose root a checkpoint signs.
//
// Lines lie in segments, outbox/ledger/000/004/000004000.jsonl, named by the first number in them; the highest one is
// active. What is committed together is appended with one write and one fdatasync, and never split over two segments. A
// Position remembers how far the ledger was applied; bytes behind it that have no newline or contain zeros were torn by a
// crash and are moved aside. Everything else that is not as it was written is a *TamperError, and never repaired.
//
// What can grow lies in documents: lines in RFC 8785 form in segments of their own, which events name by place and digest.
// They are synced before the event that names them is written.
//
// docs/LEDGER.md has all of this for those who read the files, with every event.
package ledger
