package secrets

import "bytes"

// command is how a program takes a password among its arguments.
type command struct {
	program string   // the last word of it ends where the arguments begin
	glued   []string // options that the password follows at once, as -pPASSWORD
	apart   []string // options whose password may also be the next argument
	user    byte     // where not 0, a user stands before the password, with this between them
}

// commands are those whose passwords no name tells. Where an option means something else to other programs, only these are looked at.
var commands = []command{
	{"curl ", []string{"-u", "-U", "--user=", "--proxy-user="}, []string{"-u", "-U", "--user", "--proxy-user"}, ':'},
	{"mysql ", []string{"-p"}, nil, 0}, {"mysqldump ", []string{"-p"}, nil, 0}, {"mysqladmin ", []string{"-p"}, nil, 0}, {"mysqlimport ", []string{"-p"}, nil, 0},
	{"mysqlsh ", []string{"-p"}, nil, 0}, {"mariadb ", []string{"-p"}, nil, 0}, {"mariadb-dump ", []string{"-p"}, nil, 0}, {"mycli ", []string{"-p"}, nil, 0},
	{"sshpass ", []string{"-p"}, []string{"-p"}, 0},
	{"docker login ", []string{"-p"}, []string{"-p"}, 0}, {"podman login ", []string{"-p"}, []string{"-p"}, 0}, {"nerdctl login ", []string{"-p"}, []string{"-p"}, 0},
	{"buildah login ", []string{"-p"}, []string{"-p"}, 0}, {"skopeo login ", []string{"-p"}, []string{"-p"}, 0}, {"oc login ", []string{"-p"}, []string{"-p"}, 0},
	{"az login ", []string{"-p"}, []string{"-p"}, 0}, {"cf login ", []string{"-p"}, []string{"-p"}, 0}, {"registry login ", []string{"-p"}, []string{"-p"}, 0},
	{"redis-cli ", nil, []string{"-a"}, 0},
	{"ldapsearch ", []string{"-w"}, []string{"-w"}, 0}, {"ldapadd ", []string{"-w"}, []string{"-w"}, 0}, {"ldapmodify ", []string{"-w"}, []string{"-w"}, 0},
	{"ldapdelete ", []string{"-w"}, []string{"-w"}, 0}, {"ldapwhoami ", []string{"-w"}, []string{"-w"}, 0}, {"ldappasswd ", []string{"-w", "-s"}, []string{"-w", "-s"}, 0},
	{"sqlcmd ", []string{"-P"}, []string{"-P"}, 0}, {"bcp ", []string{"-P"}, []string{"-P"}, 0},
	{"mongo ", []string{"-p"}, []string{"-p"}, 0}, {"mongosh ", []string{"-p"}, []string{"-p"}, 0}, {"mongodump ", []string{"-p"}, []string{"-p"}, 0},
	{"mongorestore ", []string{"-p"}, []string{"-p"}, 0}, {"mongoexport ", []string{"-p"}, []string{"-p"}, 0}, {"mongoimport ", []string{"-p"}, []string{"-p"}, 0},
	{"cqlsh ", nil, []string{"-p"}, 0}, {"mosquitto_pub ", nil, []string{"-P"}, 0}, {"mosquitto_sub ", nil, []string{"-P"}, 0},
	{"smbclient ", []string{"-U"}, []string{"-U"}, '%'}, {"rpcclient ", []string{"-U"}, []string{"-U"}, '%'}, {"lftp ", nil, []string{"-u"}, ','},
	{"7z ", []string{"-p"}, nil, 0}, {"7za ", []string{"-p"}, nil, 0}, {"unrar ", []string{"-p"}, nil, 0}, {"zip ", nil, []string{"-P"}, 0}, {"unzip ", nil, []string{"-P"}, 0},
	{"keytool ", nil, []string{"-storepass", "-keypass", "-srcstorepass", "-deststorepass"}, 0}, {"jarsigner ", nil, []string{"-storepass", "-keypass"}, 0},
	{"openssl ", []string{"pass:"}, nil, 0}, {"xfreerdp ", []string{"/p:"}, nil, 0}, {"rdesktop ", nil, []string{"-p"}, 0}, {"httpie ", nil, []string{"-a"}, ':'},
}

// commandBytes bounds how much of a command line is looked at.
const commandBytes = 320

// match looks for a password among the arguments behind the program at a place.
func (c command) match(text []byte, at int) (start, end int, ok bool) {
	if !spelled(text, at, c.program) || at > 0 && urlSafe[text[at-1]] {
		return 0, 0, false
	}
	limit := min(len(text), at+commandBytes)
	for i := at + len(c.program); i < limit; {
		from, to, next := argumentAt(text, i, limit)
		if from < 0 {
			return 0, 0, false
		}
		arg := text[from:to]
		for _, option := range c.apart {
			if string(arg) == option {
				if f, t, _ := argumentAt(text, next, min(len(text), next+valueBytes)); f >= 0 {
					if start, end, ok = c.password(text, f, t); ok {
						return start, end, true
					}
				}
			}
		}
		for _, option := range c.glued {
			if len(arg) > len(option) && string(arg[:len(option)]) == option {
				if start, end, ok = c.password(text, from+len(option), to); ok {
					return start, end, true
				}
			}
		}
		i = next
	}
	return 0, 0, false
}

// argumentAt returns the argument of a command at a place, without its quotation marks, and where to go on; -1 where the command ends.
func argumentAt(text []byte, i, limit int) (from, to, next int) {
	for i < limit && (text[i] == ' ' || text[i] == '\t' || text[i] == '\\' && i+1 < limit && (text[i+1] == '\n' || text[i+1] == '\r') || i > 0 && text[i-1] == '\\' && text[i] == '\n') {
		i++
	}
	if i >= limit || text[i] == '\n' || text[i] == '|' || text[i] == ';' || text[i] == '&' || text[i] < ' ' {
		return -1, 0, 0
	}
	from = i
	if mark := text[i]; mark == '"' || mark == '\'' {
		if n := bytes.IndexByte(text[i+1:limit], mark); n >= 0 && (i+n+2 >= len(text) || text[i+n+2] <= ' ') {
			return i + 1, i + 1 + n, i + n + 2
		}
	}
	for i < limit && text[i] > ' ' && text[i] != '|' && text[i] != ';' {
		i++
	}
	return from, i, i
}

// password is what of an argument is one: all of it, or what stands behind the user.
func (c command) password(text []byte, from, to int) (start, end int, ok bool) {
	arg := text[from:to]
	if c.user != 0 {
		n := bytes.IndexByte(arg, c.user)
		if n < 0 {
			return 0, 0, false
		}
		user, rest := arg[:n], arg[n+1:]
		if c.user == ':' && len(rest) == 0 { // KEY: as some services want it
			rest, from = user, from-n-1
		}
		if bytes.Equal(user, rest) && n > 0 && len(rest) < 6 {
			return 0, 0, false
		}
		from, arg = from+n+1, rest
	}
	for len(arg) > 1 && (arg[0] == '"' || arg[0] == '\'') {
		from, arg = from+1, arg[1:]
	}
	for len(arg) > 1 && (arg[len(arg)-1] == '"' || arg[len(arg)-1] == '\'') {
		arg = arg[:len(arg)-1]
	}
	return from, from + len(arg), chosen(arg)
}

// chosen reports whether what stands in the place of a password is one: it may be short there, and a word with a digit.
func chosen(value []byte) bool {
	if len(value) < 6 {
		return false
	}
	var kinds [4]bool
	for _, c := range value {
		kinds[kindOf(c)] = true
	}
	return (kinds[0] || kinds[1]) && (kinds[2] || kinds[3] || kinds[0] && kinds[1]) && !monotonous(value) && !placeholder(value) && !isPath(value)
}
