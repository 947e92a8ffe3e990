package durable

import "testing"

func TestParseStat(t *testing.T) {
	const rest = " 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0"
	for in, want := range map[string]struct {
		state byte
		start int64
		ok    bool
	}{
		"7 (sh) S" + rest:               {'S', 98765, true},
		"7 (a) Z 1 ) (b c) R" + rest:    {'R', 98765, true},
		"7 (evil) S 0 0 0\n) Z" + rest:  {'Z', 98765, true},
		"7 (sh) S 1 1":                  {},
		"7 sh S" + rest:                 {},
		"":                              {},
		"7 (sh) S" + rest[:45] + " x x": {},
	} {
		state, start, err := parseStat([]byte(in))
		if (err == nil) != want.ok || want.ok && (state != want.state || start != want.start) {
			t.Errorf("%q: %c, %d, %v", in, state, start, err)
		}
	}
}

func TestParseMount(t *testing.T) {
	for line, want := range map[string]string{
		"36 35 98:0 / /mnt rw,noatime shared:1 - fuse.sshfs host:/x rw": "fuse.sshfs",
		"36 35 98:0 / /mnt rw,noatime - ext4 /dev/x rw":                 "ext4",
		"36 35 98:0 / /a\\040- rw shared:1 master:2 - 9p x rw":          "9p",
		"36 35 98:1 / /mnt rw - ext4 /dev/x rw":                         "",
		"36 35 98:0 / - - - ext4":                                       "ext4",
		"36 35 98:0 / /mnt rw shared:1":                                 "",
		"":                                                              "",
		"36 35 98:0 / /mnt rw,noatime shared:1 propagate_from:2 unbindable - x": "x",
	} {
		if got, ok := parseMount(line, "98:0"); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", line, got, ok)
		}
	}
}

func TestKnownMagics(t *testing.T) {
	for magic, name := range map[uint32]string{0x6969: "nfs", 0x01021997: "9p", 0xFE534D42: "smb2"} {
		if magics[magic] != name || !networks[name] {
			t.Errorf("%#x is %q, network %v", magic, magics[magic], networks[magics[magic]])
		}
	}
	if fs, err := FileSystem("/proc"); err != nil || fs.Name != "0x9fa0" || fs.Network {
		t.Errorf("/proc: %+v, %v", fs, err)
	}
}
