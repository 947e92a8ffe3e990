package ledger

import (
	"encoding/json"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
)

// TestLocateLikeTheLibrary cuts and changes meta objects at all places.
func TestLocateLikeTheLibrary(t *testing.T) {
	for _, meta := range []string{`{}`, `{"bytes":812,"offset":533}`, `{"a":{"bytes":1},"b":[1,{"offset":2}],"bytes":812,"gates":{"G0":"PASS"},"offset":0,"z":"\n"}`,
		`{"bytes":999999999999999,"offset":9007199254740991}`, `{"bytes":-1,"offset":1e+21}`, `{"bytes":"1","é":1}`, `{"a\"":1,"offset":7}`} {
		for at := range len(meta) + 1 {
			for _, piece := range []string{"", `"`, "}", "{", ",", ":", "0", "1.5", `"offset":5,`, "[]"} {
				for cut := range 2 {
					changed := json.RawMessage(meta[:at] + piece + meta[min(at+cut, len(meta)):])
					var want Located
					wantErr := jsonv2.Unmarshal(changed, &want)
					got, err := locate(changed)
					if (err == nil) != (wantErr == nil) || err == nil && got != want {
						t.Fatalf("%s: %+v, %v; the library says %+v, %v", changed, got, err, want, wantErr)
					}
				}
			}
		}
	}
}
