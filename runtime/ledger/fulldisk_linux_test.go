package ledger

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 660 KiB, five batches of 120 and a rest and makes the folders of a workspace in it.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=660k"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	outbox := filepath.Join(dir, "outbox")
	for _, d := range []string{outbox, filepath.Join(dir, ".sheratan")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return outbox
}

func TestFullDisk(t *testing.T) {
	outbox := smallDisk(t)
	l := open(t, outbox, nil)
	docs := openDocuments(t, outbox, nil)
	pos := Position{}
	for {
		before := segmentFiles(t, outbox)
		next, err := l.Write(batch(t, pos, 333))
		if err == nil {
			pos = next
			continue
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		if !maps.Equal(segmentFiles(t, outbox), before) {
			t.Error("something of the failed commit stays")
		}
		break
	}
	if _, err := docs.Append([][]byte{make200k()}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("documents: error %v", err)
	}
	if _, end, torn, err := tail(open(t, outbox, nil), Position{}); err != nil || torn != nil || !end.Equal(pos) {
		t.Errorf("end %d, want %d; torn %v, error %v", end.Size, pos.Size, torn, err)
	}
	if refs, err := docs.Append([][]byte{[]byte(`{}`)}); err != nil {
		t.Errorf("a small document: %v", err)
	} else if b, err := docs.Read(refs[0]); err != nil || string(b) != "{}" {
		t.Errorf("read back %q, %v", b, err)
	}
}

func make200k() []byte {
	b := make([]byte, 200<<10)
	for i := range b {
		b[i] = 'x'
	}
	return b
}
