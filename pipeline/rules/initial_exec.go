package rules

import (
	"slices"

	"github.com/sheratan/sheratan/gates"
)

// Expressions for arguments. A path is relative, and no part of it begins with a dot: neither ".." nor hidden files,
// which often hold what is nobody's business.
const (
	filePath = `(\./)?(\w[\w.+@,=-]*/?)+`
	path     = `\.|` + filePath
	// A pattern of go packages: a path in which a part may be "...".
	goPackage = `\.|(\./)?((\w[\w.+-]*|\.\.\.)/?)+`
	goFlag    = `--?(v|race|short|json|cover|failfast|trimpath|x|n|a)|--?(count|p|parallel|cpu)=[0-9,]+|--?(run|skip|bench)=.*|` +
		`--?(timeout|benchtime|shuffle|vet|covermode|tags)=[\w.,]+`
	revision = `HEAD(~[0-9]{1,4})?|[0-9a-f]{7,40}`
)

// any number of arguments that match an expression; "..." alone would let in the options by which many a harmless
// program writes files or runs others.
func each(expr string) string { return "(" + expr + ")..." }

var outside = [][]string{{"/etc/passwd"}, {"a/../../x"}, {".git/config"}}

// harmless are programs that are found on most machines. With these arguments none of them writes a file, runs another
// program, or names a file outside the folder in which the job runs.
var harmless = []gates.ExecRule{
	{Program: "true", Match: forms{{}}, NoMatch: forms{{"x"}}},
	{Program: "false", Match: forms{{}}, NoMatch: forms{{"x"}}},
	{Program: "pwd", Match: forms{{}}, NoMatch: forms{{"x"}}},
	{Program: "echo", Args: []string{"..."}, Match: forms{{"hello", "world"}}},
	{Program: "date", Args: []string{each(`-u|\+.*`)}, Match: forms{{}, {"-u", "+%F"}}, NoMatch: forms{{"-s", "2001-01-01"}, {"-f", "x"}}},
	{Program: "sleep", Args: []string{`[0-9]{1,4}(\.[0-9]{1,3})?`}, Match: forms{{"1"}, {"0.5"}}, NoMatch: forms{{"infinity"}, {"1d"}}},
	{Program: "ls", Args: []string{each(`-[1aAFghilnoprsStX]+|` + path)}, Match: forms{{}, {"-l", "src"}}, NoMatch: outside},
	{Program: "cat", Args: []string{each(`-[AbEnsTv]+|` + filePath)}, Match: forms{{"README.md"}, {"-n", "a/b.txt"}}, NoMatch: outside},
	{Program: "wc", Args: []string{each(`-[clmwL]+|` + filePath)}, Match: forms{{"-l", "README.md", "go.mod"}}, NoMatch: append(forms{{"--files0-from=x"}}, outside...)},
	{Program: "head", Args: []string{each(`-n|-c|-[nc]?[0-9]{1,9}|` + filePath)}, Match: forms{{"-n", "5", "README.md"}}, NoMatch: outside},
	{Program: "tail", Args: []string{each(`-n|-c|-[nc]?\+?[0-9]{1,9}|\+[0-9]{1,9}|` + filePath)}, Match: forms{{"-n", "+5", "README.md"}}, NoMatch: append(forms{{"-f", "x"}}, outside...)},
	{Program: "sort", Args: []string{each(`-[bcdfghiMnrRuV]+|-k[0-9.,bdfgMnr]+|` + filePath)}, Match: forms{{"-rn", "-k2,2", "README.md"}},
		NoMatch: append(forms{{"-o", "x"}, {"--compress-program=sh"}, {"-T", "x"}}, outside...)},
	{Program: "uniq", Args: []string{each(`-[cdiu]+`)}, Match: forms{{"-c"}}, NoMatch: forms{{"in", "out"}}},
	{Program: "diff", Args: []string{each(`-[abBiNqsuwy]+|-U[0-9]+|` + filePath)}, Match: forms{{"-u", "a.txt", "b.txt"}}, NoMatch: append(forms{{"--to-file=/x"}}, outside...)},
	// The first argument that is no option is the expression to look for, and may hold anything.
	{Program: "grep", Args: []string{`[^-].*`, each(filePath)}, Match: forms{{"TODO|FIXME", "main.go"}}, NoMatch: forms{{"-f", "x"}, {"x", "../y"}}},
	{Program: "grep", Args: []string{`-[cEFhHilLnosvwx]+|-[ABCm][0-9]+`, `[^-].*`, each(filePath)}, Match: forms{{"-in", "TODO", "main.go"}},
		NoMatch: forms{{"-r", "x", "."}, {"-n", "-f", "x"}, {"-n", "x", "../y"}}},
	{Program: "sha256sum", Args: []string{each(filePath)}, Match: forms{{"README.md"}}, NoMatch: append(forms{{"-c", "x"}}, outside...)},
}

// toolchains are allowed to look, check, build and test. They run what lies in the root, such as its tests: that is what
// they are for, and who may write there is decided elsewhere. Options by which they would run something else, or write
// elsewhere, do not match.
var toolchains = []gates.ExecRule{
	{Program: "git", Args: []string{`status`, each(`-s|-b|-sb|--short|--branch|--porcelain(=v[12])?`)}, Match: forms{{"status", "--short"}}, NoMatch: forms{{"-c", "core.fsmonitor=x", "status"}}},
	{Program: "git", Args: []string{`log`, each(`--(oneline|stat|graph|decorate|no-merges|name-only|name-status|reverse|no-ext-diff|no-textconv)|-[0-9]{1,4}|-n[0-9]{1,4}|` + revision)},
		Match: forms{{"log", "--oneline", "-5"}}, NoMatch: forms{{"log", "--output=x"}, {"log", "-p", "--ext-diff"}}},
	{Program: "git", Args: []string{`diff`, each(`--(stat|name-only|name-status|cached|staged|check|no-ext-diff|no-textconv)|--|` + revision + `|` + path)},
		Match: forms{{"diff", "--stat", "HEAD~1", "--", "src"}}, NoMatch: forms{{"diff", "--output=x"}, {"diff", "--ext-diff"}, {"diff", "--no-index", "/etc/passwd", "x"}}},
	{Program: "git", Args: []string{`show`, each(`--(stat|name-only|name-status|oneline|no-patch|no-ext-diff|no-textconv)|` + revision)}, Match: forms{{"show", "--stat", "HEAD"}}, NoMatch: forms{{"show", "--output=x"}, {"show", "HEAD:x"}}},
	{Program: "git", Args: []string{`ls-files`, each(filePath)}, Match: forms{{"ls-files", "src"}}, NoMatch: forms{{"ls-files", "../x"}}},
	{Program: "go", Args: []string{`version`}, Match: forms{{"version"}}, NoMatch: forms{{"version", "-m", "/usr/bin/x"}, {"run", "x.go"}}},
	{Program: "go", Args: []string{`vet|test`, each(goFlag + `|` + goPackage)}, Match: forms{{"vet", "./..."}, {"test", "-race", "-run=^TestX$", "./a/b"}},
		NoMatch: forms{{"run", "x.go"}, {"test", "-exec=sh"}, {"vet", "-vettool=x"}, {"vet", "../x"}}},
	// Of a single command it leaves the program in the folder.
	{Program: "go", Args: []string{`build`, each(goFlag + `|` + goPackage)}, Write: true, Match: forms{{"build", "./..."}},
		NoMatch: forms{{"run", "x.go"}, {"build", "-toolexec=sh"}, {"build", "-o", "/x"}, {"build", "-C", ".."}}},
	{Program: "go", Args: []string{`list`, each(`-(m|deps|test|e)|` + goPackage)}, Match: forms{{"list", "./..."}}, NoMatch: forms{{"list", "-toolexec=sh"}, {"list", "-export"}}},
	{Program: "gofmt", Args: []string{each(`-[lds]+|` + path)}, Match: forms{{"-l", "."}}, NoMatch: append(forms{{"-w", "x.go"}, {"-r", "a -> b", "x"}}, outside...)},
	// It builds in target/, in the root.
	{Program: "cargo", Args: []string{`check|test|build|clippy|tree`, each(`--(release|all|workspace|all-targets|all-features|no-default-features|locked|frozen|offline|lib|bins|tests|quiet)|-[vqp]+|\w[\w-]*`)}, Write: true,
		Match: forms{{"test", "--locked", "-p", "x"}}, NoMatch: forms{{"run"}, {"test", "--config=x"}, {"install", "x"}, {"build", "--target-dir=/x"}}},
	{Program: "cargo", Args: []string{`fmt`, `--check`}, Match: forms{{"fmt", "--check"}}, NoMatch: forms{{"fmt"}}},
	// No names of modules: unittest calls what a dotted name leads to, and code.interact reads its program from stdin.
	{Program: "python3", Args: []string{`-m`, `unittest`, each(`-[bcfqv]+|(\w+/)+\w+\.py|test_\w+\.py`)}, Match: forms{{"-m", "unittest", "-v"}, {"-m", "unittest", "tests/test_x.py"}},
		NoMatch: forms{{"-c", "x"}, {"-m", "http.server"}, {"-m", "unittest", "code.interact"}, {"-m", "unittest", "venv.__main__"}}},
	{Program: "python3", Args: []string{`-m`, `unittest`, `discover`, each(`-[bcfqv]+|-[st]|\.|\./\w+(/\w+)*|tests(/\w+)*`)}, Match: forms{{"-m", "unittest", "discover", "-s", "tests"}},
		NoMatch: forms{{"-m", "unittest", "discover", "venv.__main__"}, {"-m", "unittest", "discover", "antigravity"}}},
	{Program: "python3", Args: []string{`-m`, `pytest`, each(`-[qvx]+|` + filePath)}, Match: forms{{"-m", "pytest", "-q", "tests"}},
		NoMatch: forms{{"-m", "pytest", "-p", "x"}, {"-m", "pytest", "--pyargs", "x"}}},
	{Program: "npm", Args: []string{`test`}, Decision: gates.DecisionAsk, Match: forms{{"test"}}, NoMatch: forms{{"exec", "x"}, {"test", "--script-shell=x"}}},
	{Program: "make", Args: []string{`test|check|build|lint`}, Decision: gates.DecisionAsk, Write: true, Match: forms{{"test"}}, NoMatch: forms{{"-f", "x"}, {"SHELL=x", "test"}}},
}

// forms are command lines without the program.
type forms = [][]string

// toolchainFolders are where toolchains lie that are not installed as packages.
var toolchainFolders = []string{"/usr/local/go/bin", "/usr/lib/go/bin", "/opt/homebrew/bin", "/snap/bin"}

// initialExec makes rules for the programs that are there.
func initialExec(find finding) []gates.ExecRule {
	var rules []gates.ExecRule
	placed := map[string]bool{}
	for _, r := range slices.Concat(harmless, toolchains) {
		path, inSafePath, ok := find(r.Program)
		if !ok {
			continue
		}
		// A program that lies elsewhere is named by its path once; its folder is searched from then on.
		if !inSafePath && !placed[r.Program] {
			placed[r.Program] = true
			rules = append(rules, gates.ExecRule{Program: path, Args: []string{"--version"}, Decision: gates.DecisionAllow, Rerun: "safe", Retries: new(int),
				Match: [][]string{{path, "--version"}}, NoMatch: [][]string{{path}}})
		}
		if r.Args == nil {
			r.Args = []string{}
		}
		// What only looks, or only fills caches, may run twice. What an operator is asked about may do anything.
		if r.Decision == "" {
			r.Decision, r.Rerun = gates.DecisionAllow, "safe"
			r.Retries = new(int) // all of them give the same answer again
		}
		r.Match, r.NoMatch = withProgram(r.Program, r.Match), withProgram(r.Program, r.NoMatch)
		rules = append(rules, r)
	}
	return rules
}

func withProgram(program string, lists forms) forms {
	all := make(forms, len(lists))
	for i, args := range lists {
		all[i] = append([]string{program}, args...)
	}
	return all
}
