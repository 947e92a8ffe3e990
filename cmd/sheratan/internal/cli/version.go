package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// versionInfo is what `version --json` prints.
type versionInfo struct {
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Revision string            `json:"revision,omitempty"`
	Time     string            `json:"time,omitempty"`
	Modified bool              `json:"modified"`
	Modules  map[string]string `json:"modules"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version of this program",
		Long:  `Prints what this program was built from. With --json also the modules that are in it.`,
		Example: `sheratan version
sheratan version --json`,
		Annotations: exits(),
		Args:        cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			v := buildVersion()
			return a.show(v, v.String())
		}),
	}
}

// String is one line for people.
func (v versionInfo) String() string {
	s := fmt.Sprintf("sheratan %s %s %s", v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		s += " " + v.Revision[:min(12, len(v.Revision))]
		if v.Modified {
			s += "+modified"
		}
	}
	return s + "\n"
}

// buildVersion reads what the Go toolchain wrote into the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Modules: map[string]string{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := strings.Trim(info.Main.Version, "()"); m != "" {
		v.Version = m
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		v.Modules[m.Path] = m.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
