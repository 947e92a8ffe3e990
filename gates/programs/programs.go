// Package programs knows programs by their names: which of them can be told on their command line to run others, and how, and which
// command lines give code to an interpreter.
package programs

import (
	_ "embed"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// The list of programs that can be told on their command line to run others. It cannot be complete and does not have to be: it
// keeps an operator from a mistake, while what a job can do is bounded by the sandbox. Two parts make it: families below, of
// which we know how they are told, and the names in names.txt, of which we know only that they can be.

//go:embed names.txt
var runnerNames string

// Form is how a program takes what it runs from its arguments.
type Form uint8

const (
	ByOption  Form = iota // behind or in an option, or in an argument of its own language
	ByCode                // an interpreter: code in an option or on stdin, before the name of its script
	ByOperand             // a wrapper: its first operand is the program to run
)

// Runner says how a program can be told to run any other.
type Runner struct {
	Why    string
	Form   Form
	Probes []Probe // ByOption: what tells it to
}

// Probe is a piece of a command line by which a program would run another one, or write a file anywhere: an argument, or an option
// and its value. "X" as the value stands for any operand.
type Probe struct {
	Arg, Value string
	First      bool // it means that only as the first argument: a subcommand
}

type family struct {
	why    string
	form   Form
	probes []Probe
	names  string
}

var families = []family{
	{why: "is a shell", form: ByCode, names: "sh bash dash zsh ksh mksh lksh pdksh oksh loksh fish csh tcsh ash rbash rzsh yash posh sash rc slsh pwsh nu elvish xonsh osh oil"},
	{why: "is an interpreter", form: ByCode, names: "python pypy jython micropython perl ruby jruby irb node nodejs deno bun php lua luajit texlua tclsh wish expect guile racket " +
		"sbcl clisp ecl ghci runghc runhaskell julia R Rscript groovy jshell jjs jrunscript java erl escript iex elixir osascript raku bpython ipython qjs d8 gjs ocaml swipl gprolog"},
	{why: "runs programs with system()", probes: probes(`BEGIN{system("x")}`, "{x()|getline}", "-f X", "-fx", "-e X", "--source=x", "-i X", "--exec=x", "-E X"), names: "awk gawk mawk nawk original-awk"},
	{why: "runs programs with the command e", probes: probes("1e x", "s/x/x/e", "-e X", "-e1e x", "-f X", "-fx", "--expression=1e x", "--file=x", "-i", "w /x"), names: "sed gsed ssed"},
	{why: "runs the program that its arguments name", form: ByOperand, names: "env sudo doas su ksu sg runuser pkexec nice nohup timeout time multitime setsid stdbuf ionice taskset chrt chroot unshare nsenter " +
		"setpriv capsh flock watch script unbuffer prlimit softlimit setlock numactl firejail bwrap strace ltrace gdb lldb perf valgrind setarch linux linux32 linux64 i386 x86_64 uname26 " +
		"systemd-run systemd-inhibit at batch crontab dbus-run-session dbus-launch xvfb-run start-stop-daemon hyperfine entr direnv catchsegv ld.so ld ld-linux ld-linux-x86-64.so ld-linux-aarch64.so ld-musl-x86_64.so " +
		"proot fakeroot fakechroot choom faketime torsocks torify proxychains proxychains4 tsocks run-parts daemonize daemon ssh-agent sshpass aa-exec cpulimit pexec rlwrap grc genie logsave distcc ccache " +
		"openvt tini dumb-init gosu su-exec runscript sem parallel xargs busctl-run coproc cgexec systemd-nspawn arch-nspawn eatmydata setuidgid envdir chpst s6-setuidgid tsp nq"},
	{why: "runs a program for what it finds", probes: probes("-exec X", "-execdir X", "-ok X", "-okdir X", "-fprintf X", "-fprint X", "-fls X"), names: "find bfs gfind"},
	{why: "runs a program for what it finds", probes: probes("-x X", "-X X", "-xx", "-Xx", "--exec=x", "--exec X", "--exec-batch=x", "--exec-batch X", "-e X"), names: "fd fdfind"},
	{why: "has an option that names a program to run", probes: probes("--pre=x", "--pre X", "--hostname-bin=x", "--hostname-bin X", "--pager=x", "--pager X"), names: "rg ag ack ugrep"},
	{why: "has options that name a program to run", probes: probes("--checkpoint-action=exec=x", "--checkpoint-action X", "--to-command=x", "--to-command X", "-I X", "-Ix", "-xIx", "--use-compress-program=x", "--use-compress-program X",
		"-F X", "-Fx", "--info-script=x", "--new-volume-script=x", "--rsh-command=x", "--rmt-command=x", "--unzip-command=x", "-TT X", "-eX", "--rsh=x", "-e X", "-o/x", "-o /x", "--output=/x", "--rsync-path=x", "--filter=x", "--filter X"),
		names: "tar bsdtar gtar star pax zip rsync cpio split csplit logrotate"},
	{why: "has options that name a program to run, and files to write", probes: probes("--compress-program=x", "--compress-program X", "-o /x", "-o/x", "-uo/x", "--output=/x", "--output /x", "-T X", "-T/x", "--temporary-directory=/x", "--files0-from=x"), names: "sort gsort"},
	{why: "has an option that names a program to run", probes: probes("--strip-program=x", "--strip-program X"), names: "install ginstall"},
	{why: "has an option that names a program to run", probes: probes("--diff-program=x", "--diff-program X", "-o /x", "-o/x", "--output=/x"), names: "diff3 sdiff"},
	{why: "runs what its options, plug-ins and specs name", probes: probes("-wrapper X", "-B X", "-B/x", "-fplugin=x", "-specs=x", "--specs=x", "-o /x", "-o/x", "--output=/x", "-Xclang X", "-load X", "-fuse-ld=x", "-Wl,-plugin,x", "-plugin X", "@x", "-C X", "-Clinker=x", "--ld-path=x", "-fpass-plugin=x"),
		names: "gcc g++ gfortran gnat gdc gccgo cc c++ c89 c99 cpp clang clang++ clang-cl tcc icc rustc rustdoc ghc cobc nvcc ld.gold ld.bfd ld.lld lld gold collect2"},
	{why: "connects programs with the network, or runs them elsewhere", names: "ssh scp sftp psftp plink mosh mosh-server rsh rlogin rexec telnet socat socket nc ncat netcat openvpn wget wget2 curl aria2c lftp ftp ncftp sshfs sshuttle smbclient openssl"},
	{why: "has options and settings that name programs to run: aliases, pagers, hooks", probes: probes("-c X", "-cx", "--config-env=x", "--exec-path=/x", "--ext-diff", "--textconv", "--output=/x", "--output /x", "-o /x", "--upload-pack=x", "--upload-pack X", "--receive-pack=x", "--exec=x", "--exec X", "-x X", "-Ox", "-O",
		"--open-files-in-pager=x", "-C X", "--git-dir=/x", "--git-dir X", "--work-tree=/x", "--paginate", "-p", "--no-index", "--config=x", "--config X", "--config-option X", "--repository X", "-R X", "--cwd X", "ext::x", "^config", "^bisect", "^x", "--template=/x", "--editor-cmd X", "--diff-cmd X"),
		names: "git hg svn jj fossil gh glab darcs bzr p4 cvs"},
	{why: "runs recipes, also ones that its arguments hold", probes: probes("--eval=x", "--eval X", "-E X", "-f X", "-fx", "-f/x", "-C X", "-C/x", "--file=x", "--makefile=x", "--directory=/x", "-I X", "--include-dir=/x", "SHELL=x", "X=x", "CC=x", "-P X", "--shell X", "--justfile X", "-D X", "-Dx=x"),
		names: "make gmake bmake remake ninja samu cmake ctest just task rake ant mvn gradle gradlew mvnw bazel bazelisk buck scons meson tup waf qmake xmake mage autoconf autoheader autoreconf automake"},
	{why: "runs scripts of packages, or any program by exec", probes: probes("^exec", "^run", "^x", "^install", "^dlx", "^create", "^shell", "exec X", "--script-shell=x", "-c X", "--call X", "-e X", "-o /x", "-oX", "--prefix X", "--eval X"),
		names: "npm npx yarn pnpm pnpx bunx pip pipx uv uvx poetry pipenv pdm hatch tox nox bundle bundler corepack nix nix-shell nix-build guix apt apt-get apt-cache aptitude dpkg rpm rpmdb rpmquery rpmverify dnf yum zypper apk opkg pkg pacman yay brew port snap flatpak gem composer cpan cpanm conda mamba micromamba easy_install luarocks opam stack cabal ghcup asdf mise volta rbenv pyenv nvm"},
	{why: "runs programs in containers or on other machines", probes: probes("^run", "^exec", "^x", "run X", "exec X", "-c X", "-e X", "-i X", "-m X"),
		names: "docker podman nerdctl buildah skopeo kubectl helm lxc lxc-attach lxd incus ctr crictl oc machinectl vagrant virsh qemu ansible ansible-playbook ansible-test ansible-console terraform tofu aws gcloud az salt salt-call puppet knife chef-client"},
	{why: "has a command that opens a shell", names: "vi vim vimdiff view rvim rview gvim vimtutor nvim ed red ex emacs emacsclient nano rnano pico micro joe jmacs kak hx helix less zless lessecho more most man pg tmux screen byobu tmate dialog whiptail mail mailx mutt neomutt info pinfo top htop btop busctl journalctl systemctl loginctl timedatectl"},
	{why: "has a command that runs programs", probes: probes(".shell x", ".system x", `\! x`, "system x", `system("x")`, "-cmd X", "-c X", "-cx", "-e X", "-ex", "--execute=x", "--execute X", "--command=x", "--eval X", "--eval=x", "-f X", "-fx", "--file=x", "--script=x", "--script X", "-z X", "-X X", "-init X", "-o /x", "-o/x", "--pager=x"),
		names: "sqlite3 sqlite psql mysql mariadb mongo mongosh redis-cli duckdb gnuplot octave maxima gp bc-x tshark tcpdump nmap fzf m4"},
	{why: "is many programs in one", form: ByOperand, names: "busybox toybox coreutils rustup box"},
}

// toolchains run what lies in a root, which is what they are allowed for, and so they need no "unsafe", although the list of names
// has them.
var toolchains = map[string]bool{"go": true, "cargo": true}

// anyProbes are for programs of which only the name is known, and for families without probes of their own.
var anyProbes = probes("-c X", "-cx", "-e X", "-ex", "-x X", "-f X", "-f/x", "-o /x", "-o/x", "-i X", "-S X", "-s X", "-exec X", "--exec X", "--exec=x", "--eval X", "--eval=x", "--command X", "--command=x",
	"--pre X", "--pre=x", "--checkpoint-action=exec=x", "--to-command=x", "--use-compress-program=x", "--compress-program=x", "--output=/x", "--output /x", "--config=/x", "--config X", "--init X", "--rcfile X", "--script=x", "--script X",
	"--shell=x", "--plugin=x", "--pager=x", "-oProxyCommand=x", "-wrapper X", "!x", "+!x", ":!x", "@x", "^exec", "system:x", "x y")

// probes reads a list: "--option", "-o VALUE", or "^subcommand".
func probes(list ...string) []Probe {
	all := make([]Probe, len(list))
	for i, text := range list {
		p := &all[i]
		p.Arg, p.First = strings.CutPrefix(text, "^")
		if option, value, ok := strings.Cut(p.Arg, " "); ok && (strings.HasPrefix(option, "-") || value == "X") {
			p.Arg, p.Value = option, value
		}
	}
	return all
}

// runners is the list by name.
var runners = sync.OnceValue(func() map[string]Runner {
	list := map[string]Runner{}
	for _, f := range families {
		r := Runner{f.why, f.form, f.probes}
		if f.form == ByOption && len(f.probes) == 0 {
			r.Probes = anyProbes
		}
		for _, name := range strings.Fields(f.names) {
			list[name] = r
		}
	}
	for line := range strings.Lines(runnerNames) {
		name := strings.TrimSpace(line)
		if _, ok := list[name]; !ok && name != "" && !strings.HasPrefix(name, "#") && !toolchains[name] {
			list[name] = Runner{"can run other programs", ByOption, anyProbes}
		}
	}
	return list
})

// Find looks a program up, by name or path, in whatever version and build.
func Find(program string) (Runner, bool) {
	base := filepath.Base(program)
	if r, ok := runners()[base]; ok || len(base) > longestName || !strings.ContainsAny(base, "0123456789-.") {
		return r, ok // most words of a command line end here
	}
	for _, name := range spellingsOf(base) {
		if r, ok := runners()[name]; ok {
			return r, true
		}
	}
	return Runner{}, false
}

// longestName bounds what may be the name of a program, in bytes.
const longestName = 100

// RunsOthers says how a program can be told on its command line to run any other, "" where it cannot.
func RunsOthers(program string) string {
	r, _ := Find(program)
	return r.Why
}

// buildPieces are what the names of builds have more than the name of a program: the target of a cross compiler in front, the machine
// behind, what distributions add for a build with other options, and the version.
var buildPieces = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`^[a-z0-9_]+-([a-z0-9]+-)?(linux|elf|eabi|freebsd|darwin|w64|none|unknown)[a-z0-9_]*(-[a-z0-9]*(gnu|musl|eabi|mingw)[a-z0-9]*)?-`),
		regexp.MustCompile(`-(x86_64|amd64|i[3-6]86|aarch64|arm[a-z0-9]*|ppc64[a-z]*|s390x|riscv64|mips[a-z0-9]*)(-.*)?$`),
		regexp.MustCompile(`-(dbg|debug|static|dev|nox|gtk[0-9]?|x11|tiny|minimal|full|real|bin|wrapped|stable|beta|nightly|openbsd|traditional|posix|restricted|jdk|jre|lts|pydebug)$`),
		regexp.MustCompile(`\.[A-Za-z][A-Za-z0-9_+-]*$`),
		regexp.MustCompile(`[-._]?v?[0-9][0-9._]*([a-z]|rc[0-9]*|dm)?$`),
	}
})

// spellingsOf lists the names under which a file may be known, itself first: python3.12, python, for /usr/bin/python3.12.
func spellingsOf(name string) []string {
	name = strings.TrimPrefix(name, ".") // wrappers keep .python-wrapped
	list := []string{name}
	for i := 0; i < len(list) && len(list) < 64; i++ {
		for _, piece := range buildPieces() {
			shorter := piece.ReplaceAllString(list[i], "")
			if shorter != "" && shorter != list[i] {
				list = append(list, shorter)
			}
		}
	}
	return list
}

// Stem is the name of a program without folder, version and suffix: python for /usr/bin/python3.12, sqlite for sqlite3.
func Stem(program string) string {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if s := strings.TrimRight(name, "0123456789.-"); s != "" {
		return s
	}
	return name
}
