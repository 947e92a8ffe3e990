package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates/words"
)

func TestTripwires(t *testing.T) {
	w, err := NewTripwires([]string{"Disable  the Gate", "sudo", "--force"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"please disable\n the\tGATE!": "[disable the gate]", "disable the gates": "[]", "sudoku": "[]", "pseudo": "[]", "run SUDO ls": "[sudo]",
		"git push --force": "[--force]", "git push --force-with-lease": "[--force]", "x--force": "[--force]", "su\u200bdo": "[sudo]", "ѕudo": "[]",
		"ｓｕｄｏ\u00a0sudo": "[sudo]", "": "[]",
	} {
		if got := fmt.Sprint(w.Markers(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		marker := w.Scan(words.Normalise(nil, text))
		if marker != (want != "[]") {
			t.Errorf("%q: Scan says %t", text, marker)
		}
	}
	if _, err := NewTripwires(make([]string, MaxMarkers+1)); err == nil {
		t.Error("too many phrases")
	}
}

func BenchmarkScan(b *testing.B) {
	w, err := NewTripwires(DefaultMarkers())
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("The quick brown fox jumps over the lazy dog and writes a report. ", 16)[:1024]
	var buf []byte
	b.SetBytes(1024)
	for b.Loop() {
		buf = words.Normalise(buf[:0], text)
		w.Scan(buf)
	}
}
