package rules

import (
	"os"
	"regexp"
	"testing"
)

// TestDocumentedConfigs loads the pieces of config that the documents show.
func TestDocumentedConfigs(t *testing.T) {
	piece := regexp.MustCompile("(?s)```json\n(\"(?:relay|audit)\".*?)```")
	for _, name := range []string{"README.md", "docs/RELAY.md", "docs/AUDIT.md"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		found := piece.FindAllSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s shows no config", name)
		}
		for _, m := range found {
			if _, problems := parseConfig(name, []byte("{"+string(m[1])+"}")); len(problems) > 0 {
				t.Errorf("%s: %v", name, problems)
			}
		}
	}
	if _, problems := parseConfig("x", []byte(`{"audit": {"auditors": ["local"]}}`)); len(problems) != 1 {
		t.Errorf("a model that there is not: %v", problems)
	}
}
