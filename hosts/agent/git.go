package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A root's git configuration, or a file that it includes, can name programs that git runs when somebody only looks: a file system
// monitor, filters, drivers for differences, hooks, pagers, checks of signatures. Jobs that may not change the roots get git
// with these off, by variables, which count more than any file. Most settings have names that are known; those of filters are up
// to the configuration, so it is asked for them first. Drivers for differences have no value that means none: where there are
// any, the command line has to say that it wants none.

// quietGit are the settings whose names are known.
var quietGit = [][2]string{
	{"core.fsmonitor", "false"}, {"core.hooksPath", "/dev/null"}, {"core.pager", "cat"}, {"core.alternateRefsCommand", ""}, {"core.sshCommand", "false"}, {"core.gitProxy", ""},
	{"core.askPass", "true"}, {"credential.helper", ""}, {"log.showSignature", "false"}, {"protocol.allow", "never"}, {"protocol.ext.allow", "never"},
	{"diff.ignoreSubmodules", "dirty"}, {"status.submoduleSummary", "false"}, {"submodule.recurse", "false"}, {"interactive.diffFilter", ""},
	{"core.editor", "false"}, {"sequence.editor", "false"}, {"gpg.ssh.defaultKeyCommand", "false"},
	{"gpg.program", "false"}, {"gpg.openpgp.program", "false"}, {"gpg.x509.program", "false"}, {"gpg.ssh.program", "false"}, // a format of log may ask for signatures
}

// rootSetting is a setting with a name of the configuration's own, and the value that makes it harmless.
type rootSetting struct {
	key   *regexp.Regexp
	value string
}

// namedByRoot are such settings. They are compiled when git is first asked, and not whenever this program starts.
var namedByRoot = sync.OnceValue(func() []rootSetting {
	return []rootSetting{
		{regexp.MustCompile(`(?s)^filter\..*\.(clean|smudge|process|required)$`), ""},
		{regexp.MustCompile(`(?s)^protocol\..*\.allow$`), "never"},
		{regexp.MustCompile(`(?s)^credential\..*\.helper$`), ""},
		{regexp.MustCompile(`(?s)^pager\..*$`), "false"},
		{regexp.MustCompile(`(?s)^(merge\..*\.driver|trailer\..*\.(command|cmd)|tar\..*\.command|remote\..*\.(uploadpack|receivepack)|hook\..*\.command|(man|browser|difftool|mergetool|guitool)\..*\.(cmd|path)|sendemail\..*cmd)$`), "false"},
		{regexp.MustCompile(`(?s)^submodule\..*\.update$`), "none"},
		{regexp.MustCompile(`(?s)^alias\..*$`), "!false"},
		{regexp.MustCompile(`(?s)^submodule\..*\.ignore$`), "dirty"},
	}
})

// diffDriver matches settings that name a program for differences.
var diffDriver = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?s)^diff\.(external|.*\.(command|textconv))$`)
})

// noDiff are commands of git that show no differences of contents.
var noDiff = []string{"status", "ls-files", "ls-tree", "rev-parse", "rev-list", "branch", "tag", "remote", "describe", "show-ref", "for-each-ref", "config", "version", "--version"}

// elsewhere reports whether a command line may have git look at another repository, whose settings nobody has asked for: a global option
// that is not known, or submodules.
func elsewhere(argv []string) (option string, found bool) {
	for i := 1; i < len(argv) && strings.HasPrefix(argv[i], "-"); i++ {
		switch {
		case argv[i] == "-c":
			i++
		case !slices.Contains(knownOptions, argv[i]):
			return argv[i], true
		}
	}
	for _, arg := range argv[1:] {
		name, value, _ := strings.Cut(arg, "=")
		if len(name) >= len("--ig") && strings.HasPrefix("--ignore-submodules", name) && value != "all" && value != "dirty" && value != "" {
			return arg, true
		}
	}
	return "", false
}

// knownOptions are options before the command that lead nowhere else.
var knownOptions = []string{"--no-pager", "-P", "--no-optional-locks", "--no-replace-objects", "--no-lazy-fetch", "--literal-pathspecs",
	"--glob-pathspecs", "--noglob-pathspecs", "--icase-pathspecs", "--version", "-v"}

// wantsDrivers reports whether a command line may run programs for differences.
func wantsDrivers(argv []string) bool {
	argv = slices.Clone(argv)
	for len(argv) > 2 && (argv[1] == "-c" || slices.Contains(knownOptions, argv[1])) {
		n := 2
		if argv[1] == "-c" {
			n++
		}
		argv = slices.Delete(argv, 1, min(n, len(argv)))
	}
	if len(argv) > 1 && slices.Contains(noDiff, argv[1]) && (argv[1] != "status" || !slices.ContainsFunc(argv[2:], verbose)) {
		return false
	}
	return !slices.Contains(argv, "--no-ext-diff") || !slices.Contains(argv, "--no-textconv")
}

// verbose reports whether an argument makes git status show differences. Options in one argument are taken apart, and long ones may be shortened.
func verbose(arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		return name != "" && strings.HasPrefix("verbose", name)
	}
	return strings.HasPrefix(arg, "-") && strings.Contains(arg, "v")
}

// gitReadTime bounds how long git may need to list its settings: an included file can be a FIFO.
const gitReadTime = 5 * time.Second

// isGit reports whether a program is git.
func isGit(program string) bool { return filepath.Base(program) == "git" }

// withQuietGit returns the environment of a job that runs git in a folder and only looks.
func withQuietGit(ctx context.Context, program string, argv []string, dir string, env []string) ([]string, error) {
	if option, found := elsewhere(argv); found {
		return nil, fmt.Errorf("%s may have git look at another repository, whose settings may name programs: a job that may not change the root runs git in the "+
			"folder of its repository (cwd)", option)
	}
	names, err := gitSettings(ctx, program, dir, env)
	if err != nil {
		return nil, fmt.Errorf("the git settings of %s cannot be read, and they may name programs: %w", dir, err)
	}
	settings := slices.Clone(quietGit)
	for _, name := range names {
		if diffDriver().MatchString(name) && wantsDrivers(argv) {
			return nil, fmt.Errorf("the git setting %s names a program that git would run: a job that may not change the root has to say --no-ext-diff and --no-textconv", name)
		}
		for _, own := range namedByRoot() {
			if own.key.MatchString(name) {
				settings = append(settings, [2]string{name, own.value})
			}
		}
	}
	n := 0
	for _, v := range env {
		if count, ok := strings.CutPrefix(v, "GIT_CONFIG_COUNT="); ok {
			n, _ = strconv.Atoi(count)
		}
	}
	var own []string
	for i, s := range settings {
		own = append(own, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n+i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n+i, s[1]))
	}
	own = append(own, fmt.Sprintf("GIT_CONFIG_COUNT=%d", n+len(settings)), "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0")
	return instead(env, own), nil
}

// instead returns an environment in which variables have new values. Of a variable that is there twice git reads the first.
func instead(env, own []string) []string {
	name := func(v string) string { name, _, _ := strings.Cut(v, "="); return name }
	ours := make(map[string]bool, len(own))
	for _, v := range own {
		ours[name(v)] = true
	}
	rest := slices.DeleteFunc(slices.Clone(env), func(v string) bool { return ours[name(v)] })
	return append(rest, own...)
}

// maxGitSettings bounds the list of settings, in bytes: a root can include a file of any size.
const maxGitSettings = 1 << 20

// findsSettings are the variables by which git finds its settings.
var findsSettings = []string{"HOME", "XDG_CONFIG_HOME", "GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_CEILING_DIRECTORIES",
	"GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}

// settingsEnv returns the part of a job's environment by which git finds its settings. Others could load code or write files
// (LD_PRELOAD, GIT_TRACE), and this git runs outside of the sandbox.
func settingsEnv(env []string) []string {
	var kept []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if slices.Contains(findsSettings, name) || strings.HasPrefix(name, "GIT_CONFIG_KEY_") || strings.HasPrefix(name, "GIT_CONFIG_VALUE_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// gitSettings lists the names of all settings that git finds in a folder, and in the .gitmodules above it. Listing runs nothing.
func gitSettings(ctx context.Context, program, dir string, env []string) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, gitReadTime)
	defer cancel()
	list := func(args ...string) error {
		cmd := exec.CommandContext(ctx, program, append([]string{"--no-pager", "config", "--null", "--name-only"}, args...)...)
		var text, complaint bounded
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, settingsEnv(env), &text, &complaint
		cmd.WaitDelay = time.Second
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaint.data))
		}
		for name := range strings.SplitSeq(string(text.data), "\x00") {
			names = append(names, strings.TrimSuffix(name, "\n"))
		}
		return nil
	}
	if err := list("--includes", "--list"); err != nil {
		return nil, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		modules := filepath.Join(at, ".gitmodules")
		if info, err := os.Lstat(modules); err == nil && info.Mode().IsRegular() {
			return names, list("--no-includes", "--file", modules, "--list")
		}
		if at == filepath.Dir(at) {
			return names, nil
		}
	}
}

// bounded collects output, and ends its writer with an error where it grows too long.
type bounded struct{ data []byte }

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > maxGitSettings {
		return 0, fmt.Errorf("more than %d bytes of settings", maxGitSettings)
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
