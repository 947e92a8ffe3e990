package programs

import "testing"

func TestInlineCode(t *testing.T) {
	for _, tt := range []struct {
		argv  []string
		stdin string
		want  bool
	}{
		{[]string{"python3", "-cprint(1)"}, "", true},
		{[]string{"python3", "-c", "print(1)"}, "", true},
		{[]string{"python3.11", "-Bcprint(1)"}, "", true},
		{[]string{"/usr/bin/python3.12-dbg", "-W", "ignore", "-c", "1"}, "", true},
		{[]string{"python3", "-Wignore", "-c", "1"}, "", true},
		{[]string{"python3", "-"}, "print(1)", true},
		{[]string{"python3", "-u"}, "print(1)", true},
		{[]string{"python3", "--"}, "print(1)", true},
		{[]string{"python3", "/dev/stdin"}, "print(1)", true},
		{[]string{"python3", "//dev/./fd/0"}, "print(1)", true},
		{[]string{"python3", "../../../proc/self/fd/3"}, "", true},
		{[]string{"python3", "-m", "timeit", "print(1)"}, "", true},
		{[]string{"python3", "-mcode"}, "1", true},
		{[]string{"bash", "-cx", "id"}, "", true},
		{[]string{"bash", "-xc", "id"}, "", true},
		{[]string{"bash", "-euo", "pipefail", "-c", "id"}, "", true},
		{[]string{"bash", "--norc", "-c", "id"}, "", true},
		{[]string{"bash", "--rcfile", "x", "-c", "id"}, "", true},
		{[]string{"bash"}, "id", true},
		{[]string{"bash", "-s", "x"}, "id", true},
		{[]string{"bash", "+x"}, "id", true},
		{[]string{"sh", "-", "/dev/fd/0"}, "id", true},
		{[]string{"fish", "--init-command=id", "x.fish"}, "", true},
		{[]string{"perl", "-ne", "print"}, "", true},
		{[]string{"perl", "-w", "-i.bak", "-pe", "s/a/b/"}, "", true},
		{[]string{"perl", "-MPOSIX;system(1)", "x.pl"}, "", true},
		{[]string{"ruby", "-rjson", "-e", "1"}, "", true},
		{[]string{"node", "--eval=1"}, "", true},
		{[]string{"node", "-pe", "1"}, "", true},
		{[]string{"node", "--import", "data:text/javascript,1", "x.js"}, "", true},
		{[]string{"deno", "eval", "1"}, "", true},
		{[]string{"deno", "run", "-"}, "1", true},
		{[]string{"php", "-r", "1;"}, "", true},
		{[]string{"php", "-dx=1", "-r1;"}, "", true},
		{[]string{"lua5.4", "-e1"}, "", true},
		{[]string{"Rscript", "-e", "1"}, "", true},
		{[]string{"env", "A=b", "python3", "-c", "1"}, "", true},
		{[]string{"timeout", "5", "bash"}, "id", true},
		{[]string{"xargs", "-n1", "sh", "-c", "id"}, "", true},
		{[]string{"find", ".", "-exec", "sh", "-c", "id", ";"}, "", true},
		{[]string{"busybox", "sh", "-c", "id"}, "", true},

		{nil, "x", false},
		{[]string{"python3", "tools/report.py", "-c", "x"}, "1 2 3", false},
		{[]string{"python3", "-m", "unittest", "-c"}, "", false},
		{[]string{"python3", "-X", "dev", "x.py"}, "data", false},
		{[]string{"python3", "--version"}, "", false},
		{[]string{"python3"}, "", false},
		{[]string{"bash", "-eu", "x.sh", "-c", "x"}, "data", false},
		{[]string{"bash", "-o", "pipefail", "x.sh"}, "data", false},
		{[]string{"perl", "-Ilib", "-MPOSIX=floor", "x.pl", "-e"}, "", false},
		{[]string{"node", "--require", "./x.js", "y.js"}, "", false},
		{[]string{"deno", "run", "x.ts"}, "", false},
		{[]string{"java", "-cp", "x.jar", "Main"}, "data", false},
		{[]string{"wc", "-c", "notes.md"}, "bash", false},
		{[]string{"rg", "-n", "python", "-e", "x"}, "", false},
		{[]string{"env", "A=b", "wc", "-c"}, "x", false},
		{[]string{"git", "log", "--oneline"}, "x", false},
	} {
		if got := InlineCode(tt.argv, tt.stdin); got != tt.want {
			t.Errorf("%q with %q: %t, want %t", tt.argv, tt.stdin, got, tt.want)
		}
	}
}

func TestSpellings(t *testing.T) {
	for program, known := range map[string]bool{
		"python3.12": true, "/usr/bin/perl5.36-x86_64-linux-gnu": true, "x86_64-linux-gnu-gcc-12": true, "arm-none-eabi-gcc": true, "vim.basic": true,
		"nc.openbsd": true, "python.exe": true, "ssh-agent": true, "sqlite3": true, "c99": true, "luajit-2.1.0-beta3": true, "clang++-18": true, ".python3-wrapped": true,
		"clang-format-14": false, "md5sum": false, "git-lfs": false, "wc": false, "go": false, "cargo": false, "": false, "7z": false, "3": false,
	} {
		if _, ok := Find(program); ok != known {
			t.Errorf("%s: %t, want %t", program, ok, known)
		}
	}
}
