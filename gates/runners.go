package gates

import (
	"path/filepath"
	"strings"
)

// runsOthers says how a program can be told on its command line to run any other, "" where it cannot. "..." is refused
// for these programs, because it would allow everything. The list cannot be complete and does not have to be: it keeps
// an operator from a mistake, while what a job can do is bounded by the sandbox. Toolchains such as go and cargo are not
// in it, although they run what lies in a root: that is what they are allowed for.
func runsOthers(program string) string {
	switch stem(program) {
	case "sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "ash", "rbash", "pwsh", "nu", "elvish", "xonsh":
		return "is a shell"
	case "python", "pypy", "perl", "ruby", "irb", "node", "nodejs", "deno", "bun", "php", "lua", "luajit", "tclsh", "wish", "expect",
		"guile", "racket", "sbcl", "clisp", "ghci", "julia", "R", "Rscript", "groovy", "jshell", "java", "erl", "iex", "osascript", "raku":
		return "is an interpreter"
	case "awk", "gawk", "mawk", "nawk":
		return "runs programs with system()"
	case "sed", "gsed":
		return "runs programs with the command e"
	case "env", "sudo", "doas", "su", "runuser", "pkexec", "nice", "nohup", "timeout", "time", "setsid", "stdbuf", "ionice",
		"taskset", "chrt", "chroot", "unshare", "nsenter", "setpriv", "capsh", "flock", "watch", "script", "unbuffer", "prlimit",
		"numactl", "firejail", "bwrap", "strace", "ltrace", "gdb", "lldb", "perf", "valgrind", "setarch", "linux", "linux32", "linux64",
		"systemd-run", "at", "batch", "crontab", "dbus-run-session", "xvfb-run", "start-stop-daemon", "hyperfine", "entr", "direnv",
		"catchsegv", "ld", "ld-linux-x86-64.so", "ld-musl-x86_64.so", "proot", "fakeroot", "choom", "faketime", "torsocks", "proxychains", "run-parts", "daemonize":
		return "runs the program that its arguments name"
	case "xargs", "parallel", "find", "fd", "fdfind", "bfs", "rg", "ag":
		return "runs a program for what it finds"
	case "tar", "bsdtar", "gtar", "zip", "rsync", "cpio", "split", "csplit", "sort", "install", "logrotate":
		return "has options that name a program to run"
	case "ssh", "scp", "sftp", "mosh", "rsh", "telnet", "socat", "nc", "ncat", "netcat", "openvpn", "wget", "aria2c", "lftp", "ftp":
		return "connects programs with the network, or runs them elsewhere"
	case "git", "hg", "svn", "jj", "fossil", "gh":
		return "has options and settings that name programs to run: aliases, pagers, hooks"
	case "make", "gmake", "bmake", "ninja", "cmake", "ctest", "just", "task", "rake", "ant", "mvn", "gradle", "bazel", "scons", "meson", "tup":
		return "runs recipes, also ones that its arguments hold"
	case "npm", "npx", "yarn", "pnpm", "pnpx", "bunx", "pipx", "uv", "uvx", "poetry", "pipenv", "bundle", "corepack", "nix", "nix-shell", "guix",
		"apt", "apt-get", "dpkg", "rpm", "dnf", "yum", "apk", "pacman", "brew", "snap", "flatpak", "pip", "gem", "composer", "conda", "mamba":
		return "runs scripts of packages, or any program by exec"
	case "docker", "podman", "nerdctl", "buildah", "kubectl", "helm", "lxc", "lxc-attach", "machinectl", "vagrant", "crictl", "oc",
		"ansible", "ansible-playbook", "terraform", "tofu", "aws", "gcloud", "az", "salt", "puppet":
		return "runs programs in containers or on other machines"
	case "vi", "vim", "vimdiff", "view", "rvim", "nvim", "ed", "ex", "emacs", "nano", "pico", "micro", "joe", "less", "more", "most", "man", "pg",
		"tmux", "screen", "byobu", "dialog", "whiptail", "mail", "mutt", "info", "top", "htop", "busctl", "journalctl", "systemctl":
		return "has a command that opens a shell"
	case "sqlite", "psql", "mysql", "mariadb", "mongo", "mongosh", "redis-cli", "gnuplot", "octave", "tshark", "tcpdump", "nmap":
		return "has a command that runs programs"
	case "busybox", "toybox", "coreutils", "rustup":
		return "is many programs in one"
	}
	return ""
}

// stem is the name of a program without folder, version and suffix: python for /usr/bin/python3.12, sqlite for sqlite3.
func stem(program string) string {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if s := strings.TrimRight(name, "0123456789.-"); s != "" {
		return s
	}
	return name
}
