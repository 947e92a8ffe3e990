//go:build unix && !linux

package roots

import "golang.org/x/sys/unix"

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC

// statAt describes name in dirfd without following it; the empty name is dirfd itself. Mounts have no number here.
func statAt(dirfd int, name string) (info, error) {
	var st unix.Stat_t
	var err error
	if name == "" {
		err = unix.Fstat(dirfd, &st)
	} else {
		err = unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return info{}, err
	}
	return info{
		ident: ident{dev: uint64(st.Dev), ino: uint64(st.Ino)},
		mode:  uint32(st.Mode),
		nlink: uint64(st.Nlink),
		size:  st.Size,
	}, nil
}

// lookup describes name in dirfd without following it, and opens it where it is a directory. Without O_PATH nothing
// else may be opened: a FIFO would notice. The descriptor is -1 then.
func lookup(dirfd int, name string) (int, info, error) {
	in, err := statAt(dirfd, name)
	if err != nil || in.mode&unix.S_IFMT != unix.S_IFDIR {
		return -1, in, err
	}
	fd, err := openAt(dirfd, name, dirFlags, 0)
	if err != nil {
		return -1, info{}, err
	}
	in, err = statAt(fd, "")
	if err != nil {
		unix.Close(fd)
		return -1, info{}, err
	}
	return fd, in, nil
}

func renameNoReplace(dirfd int, from, to string) error { return linkNoReplace(dirfd, from, to) }

// exposes has nothing to find out: there are no bind mounts here.
func (r *Roots) exposes(info, string) (string, bool) { return "", false }
