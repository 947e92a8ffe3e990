package programs

import (
	"path"
	"regexp"
	"strings"
	"sync"
)

// InlineCode reports whether a command line gives code to an interpreter: in an option, together with its letter or behind it, or
// on standard input. It looks at the options that stand before the script, also of an interpreter that another program runs.
func InlineCode(argv []string, stdin string) bool {
	if len(argv) == 0 {
		return false
	}
	first, ok := Find(argv[0])
	if !ok {
		return false
	}
	if first.Form == ByCode {
		return syntaxOf(argv[0]).inline(argv[1:], stdin)
	}
	if has("rg ag ack ugrep", path.Base(argv[0])) {
		return false // their words are what is looked for
	}
	for i := 1; i < len(argv); i++ {
		r, ok := Find(argv[i])
		if !ok || r.Form != ByCode || strings.HasPrefix(argv[i], "-") {
			continue
		}
		given := stdin
		if first.Form != ByOperand {
			given = "" // the name may be that of a file
		}
		if syntaxOf(argv[i]).inline(argv[i+1:], given) {
			return true
		}
	}
	return false
}

// syntax is what an interpreter makes of the options before its script.
type syntax struct {
	code    string // letters of options that have code behind them, or in the same argument
	within  bool   // such a letter has its code always behind, so that others may follow it: bash -cx CODE
	value   string // letters of options that have something else behind them, or in the same argument
	rest    string // letters of options that have something else in the same argument only
	long    string // names of long options with code
	longer  string // names of long options with another value
	modules string // letters of options with the name of a module, behind which perl takes what follows for code
	module  string // letter of the option that names a module, after which the arguments are the module's
	verb    string // first words that have code behind them
	pass    string // first words behind which the options go on
	stdin   string // letters of options that read code from standard input
}

var (
	shellSyntax   = syntax{code: "c", within: true, value: "oO", stdin: "s", long: "command init-command", longer: "init-file rcfile"}
	generalSyntax = syntax{code: "cCeExrp", long: "eval exec command print run expression", longer: "require import"}
	syntaxes      = []struct {
		names string
		syntax
	}{
		{"sh bash dash zsh ksh mksh lksh pdksh oksh loksh csh tcsh ash rbash rzsh yash posh sash rc osh oil", shellSyntax},
		{"fish", syntax{code: "cC", long: "command init-command", value: "dfoDp"}},
		{"python pypy jython micropython bpython ipython", syntax{code: "c", value: "WXQ", longer: "check-hash-based-pycs", module: "m"}},
		{"perl", syntax{code: "eE", value: "I", rest: "FiDCV0lx", modules: "Mm"}},
		{"ruby jruby", syntax{code: "e", value: "IrCEFKTWX", rest: "0ix"}},
		{"node nodejs", syntax{code: "ep", within: true, long: "eval print", value: "rC", longer: "require import loader experimental-loader conditions"}},
		{"php", syntax{code: "rBRE", value: "dcfzStn", long: "run process-code process-begin process-end", longer: "define php-ini file"}},
		{"lua luajit texlua", syntax{code: "e", value: "lW"}},
		{"deno bun", syntax{code: "ep", long: "eval print", verb: "eval repl", pass: "run"}},
		{"java", syntax{value: "", longer: "class-path module-path add-modules"}},
	}
)

func syntaxOf(program string) syntax {
	for _, name := range spellingsOf(path.Base(program)) {
		for _, s := range syntaxes {
			for known := range strings.FieldsSeq(s.names) {
				if known == name {
					return s.syntax
				}
			}
		}
	}
	return generalSyntax
}

// inline reports whether there is code among these arguments of the interpreter, or on its standard input.
func (s syntax) inline(args []string, stdin string) bool {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "-":
			return true
		case arg == "--":
			return i+1 >= len(args) && stdin != "" || i+1 < len(args) && readsInput(args[i+1])
		case strings.HasPrefix(arg, "--"):
			name, _, given := strings.Cut(arg[2:], "=")
			if has(s.long, name) {
				return true
			}
			if has(s.longer, name) {
				if strings.Contains(arg, "=data:") || !given && i+1 < len(args) && strings.HasPrefix(args[i+1], "data:") {
					return true
				}
				if !given {
					i++
				}
			}
		case strings.HasPrefix(arg, "-"), strings.HasPrefix(arg, "+") && s.within:
			code, skip, module := s.letters(arg[1:])
			if code {
				return true
			}
			if module != "" || skip == moduleNext && i+1 < len(args) {
				if module == "" {
					module = args[i+1]
				}
				return runsText(module)
			}
			if skip == valueNext {
				i++
			}
		case has(s.verb, arg):
			return true
		case has(s.pass, arg):
		default:
			return readsInput(arg)
		}
	}
	return stdin != ""
}

// What letters says of the argument behind an option.
const (
	nothingNext = iota
	valueNext
	moduleNext
)

// letters reads an argument with one or more options of a letter.
func (s syntax) letters(text string) (code bool, next int, module string) {
	for i, letter := range text {
		left := text[i+1:]
		is := func(list string) bool { return strings.ContainsRune(list, letter) }
		switch {
		case letter >= 0x80:
			return false, nothingNext, ""
		case is(s.code), is(s.stdin):
			return true, nothingNext, ""
		case is(s.module):
			if left == "" {
				return false, moduleNext, ""
			}
			return false, nothingNext, left
		case is(s.modules):
			return strings.ContainsAny(left, "; ()"), nothingNext, ""
		case is(s.value):
			if left == "" {
				return false, valueNext, ""
			}
			if s.within {
				next = valueNext // a shell goes on with the letters, and takes the value from the next argument
				continue
			}
			return false, nothingNext, ""
		case is(s.rest):
			return false, nothingNext, ""
		}
	}
	return false, next, ""
}

// runsText reports whether a module of Python takes code from its arguments or its standard input.
func runsText(module string) bool { return has("timeit code pdb asyncio", module) }

// input matches the paths by which a program opens what it has open already.
var input = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^|/)(dev/(stdin|fd/[0-9]+)|proc/.+/fd/[0-9]+)$`)
})

func readsInput(script string) bool { return input().MatchString(path.Clean(script)) }

// has reports whether a list of words has this one.
func has(list, word string) bool {
	for known := range strings.FieldsSeq(list) {
		if known == word {
			return true
		}
	}
	return false
}
