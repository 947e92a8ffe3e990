package pipeline

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// oversize is what is known of a proposal that is too long to be read whole.
type oversize struct {
	size   int64
	sha256 string
}

// readBounded reads up to limit bytes. Where there are more it reads the rest only to measure it, and returns the digest
// and size of all.
func readBounded(r io.Reader, limit int) ([]byte, *oversize, error) {
	head, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil || len(head) <= limit {
		return head, nil, err
	}
	h := sha256.New()
	h.Write(head)
	n, err := io.Copy(h, r)
	if err != nil {
		return nil, nil, err
	}
	return head[:limit], &oversize{int64(len(head)) + n, hex.EncodeToString(h.Sum(nil))}, nil
}

// readLine reads one line without its newline, under the same rule. The error is io.EOF with the last line, which may be
// empty.
func readLine(r *bufio.Reader, limit int) ([]byte, *oversize, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil || err == io.EOF {
			return bytes.TrimSuffix(line, []byte("\n")), nil, err
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, nil, err
		}
		if len(line) > limit {
			break
		}
	}
	h := sha256.New()
	h.Write(line)
	size := int64(len(line))
	for {
		part, err := r.ReadSlice('\n')
		text := bytes.TrimSuffix(part, []byte("\n"))
		h.Write(text)
		size += int64(len(text))
		if err == nil || err == io.EOF {
			return line[:limit], &oversize{size, hex.EncodeToString(h.Sum(nil))}, err
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, nil, err
		}
	}
}
