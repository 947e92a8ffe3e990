package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// configBlock is a block of the README with lines for an agent: its language and its text.
var configBlock = regexp.MustCompile("(?ms)^```(sh|json|toml)\n(.*?)^```$")

// stdioServer is how the configuration of an agent names a server.
type stdioServer struct {
	Command string
	Args    []string
}

// serversOf reads the servers from a block in the way that the agent does for which it is.
func serversOf(t *testing.T, language, text string) []stdioServer {
	t.Helper()
	var list []stdioServer
	switch language {
	case "sh":
		_, command, ok := strings.Cut(text, " -- ")
		if words := strings.Fields(command); ok && strings.HasPrefix(text, "claude mcp add ") && len(words) > 1 {
			list = append(list, stdioServer{words[0], words[1:]})
		}
	case "json":
		var doc map[string]map[string]stdioServer
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		for name, servers := range doc {
			if name == "mcpServers" || name == "servers" {
				list = append(list, servers["sheratan"])
			}
		}
	case "toml":
		// Strings and lists of strings are written as in JSON.
		var s stdioServer
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
			var err error
			switch key {
			case "command":
				err = json.Unmarshal([]byte(value), &s.Command)
			case "args":
				err = json.Unmarshal([]byte(value), &s.Args)
			case "", "[mcp_servers.sheratan]":
			default:
				t.Errorf("a line that Codex does not know: %s", line)
			}
			if err != nil {
				t.Errorf("%v in %s", err, line)
			}
		}
		list = append(list, s)
	}
	return list
}

// TestReadmeAgents starts what the README says that agents start, as they would, and lists its tools.
func TestReadmeAgents(t *testing.T) {
	t.Parallel()
	_, section, ok := strings.Cut(string(readFile(t, filepath.Join("..", "..", "README.md"))), "\n## Agents\n")
	if !ok {
		t.Fatal("the README has no section Agents")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	s := newSite(t)
	n := 0
	for _, m := range configBlock.FindAllStringSubmatch(section, -1) {
		for _, server := range serversOf(t, m[1], m[2]) {
			n++
			at := slices.Index(server.Args, "/srv/sheratan")
			if server.Command != "sheratan" || len(server.Args) == 0 || server.Args[0] != "mcp" || at < 0 {
				t.Errorf("%+v does not start sheratan mcp", server)
				continue
			}
			server.Args[at] = s.ws
			a := newAgent(t, s, server.Args[1:]...)
			if list, err := a.session.ListTools(t.Context(), nil); err != nil || len(list.Tools) != 7 {
				t.Errorf("%+v: %v", server, err)
			}
			a.close()
		}
	}
	if n != 4 {
		t.Errorf("%d servers, want 4", n)
	}
}
